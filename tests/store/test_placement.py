"""Spreading directories: a hint to the file system that must never be in the way."""

import pytest

from bldr.store.placement import spread
from bldr.system import os


def flags(path):
    fcntl = pytest.importorskip("fcntl")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return int.from_bytes(fcntl.ioctl(descriptor, 0x80086601, bytes(8))[:4], "little")
    except OSError:
        pytest.skip("no inode flags on this file system")
    finally:
        os.close(descriptor)


def test_a_directory_is_marked_and_keeps_its_other_flags(tmp_path):
    before = flags(tmp_path)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(2):
            spread(descriptor)
    finally:
        os.close(descriptor)
    assert flags(tmp_path) in (before, before | 0x20000)


def test_what_knows_no_flags_is_left_alone():
    reading, writing = os.pipe()
    try:
        spread(reading)
    finally:
        os.close(reading)
        os.close(writing)
