"""Locks of whole files, by whatever this system has."""

import os

import pytest

from bldr.system import fcntl
from bldr.system import os as system


@pytest.fixture
def two(tmp_path):
    """Descriptors of one file, each with a lock of its own."""
    descriptors = [system.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT) for _ in range(2)]
    yield descriptors
    for descriptor in descriptors:
        os.close(descriptor)


def test_one_alone_has_a_lock_that_is_exclusive(two):
    fcntl.flock(two[0], fcntl.LOCK_EX)
    for wanted in (fcntl.LOCK_EX, fcntl.LOCK_SH):
        with pytest.raises(BlockingIOError):
            fcntl.flock(two[1], wanted | fcntl.LOCK_NB)
    fcntl.flock(two[0], fcntl.LOCK_UN)
    fcntl.flock(two[1], fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_shared_lock_is_shared_and_keeps_out_who_wants_it_alone(two):
    for descriptor in two:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    with pytest.raises(BlockingIOError):
        fcntl.flock(two[1], fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_who_has_a_lock_may_have_another_kind_of_it(two):
    fcntl.flock(two[0], fcntl.LOCK_EX)
    fcntl.flock(two[0], fcntl.LOCK_SH | fcntl.LOCK_NB)
    fcntl.flock(two[1], fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_what_is_locked_can_be_read_and_written(two):
    fcntl.flock(two[0], fcntl.LOCK_EX)
    os.write(two[1], b"content")
    os.lseek(two[0], 0, os.SEEK_SET)
    assert os.read(two[0], 10) == b"content"


def test_a_lock_ends_with_its_descriptor(tmp_path, two):
    third = system.open(tmp_path / "lock", os.O_RDWR)
    fcntl.flock(third, fcntl.LOCK_EX)
    os.close(third)
    fcntl.flock(two[0], fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_an_unlocked_file_may_be_unlocked(two):
    fcntl.flock(two[0], fcntl.LOCK_UN)
