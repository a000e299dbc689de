"""Output is taken from both pipes as it comes, up to a bound."""

import os
import select

import pytest

from bldr.hermetic.capture import Capture


@pytest.fixture
def capture():
    with Capture(10) as capture:
        yield capture


def test_both_streams_count_and_the_later_bytes_are_cut_off(capture):
    stdout, stderr = capture.writing
    os.write(stdout, b"12345")
    capture.drain()
    os.write(stderr, b"abcde")
    capture.drain()
    assert not capture.is_full
    os.write(stdout, b"6")
    capture.drain()
    assert capture.is_full
    assert capture.texts() == (b"12345", b"abcde")


def test_a_stream_that_ends_leaves_the_poll(capture):
    poll = select.poll()
    capture.register(poll)
    capture.close_writing()
    for descriptor, _ in poll.poll():
        capture.read(poll, descriptor)
    assert poll.poll(0) == []


def test_a_writer_that_stays_does_not_hold_us_up(capture):
    os.write(capture.writing[0], b"x")
    capture.drain()
    assert capture.texts() == (b"x", b"")
