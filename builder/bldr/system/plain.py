"""Small things that systems do differently, each in all of its ways."""

import os

_CLUSTER_BYTES = 4096
_CHUNK_BYTES = 1 << 20


def kept_mode(mode: int) -> int:
    """POSIX: all of it."""
    return mode


def kept_attribute(mode: int) -> int:
    """Windows: whether it may be written to, by everybody."""
    return 0o666 if mode & 0o200 else 0o444


def blocks_bytes(status: os.stat_result) -> int:
    """POSIX: as the file system counts."""
    return status.st_blocks * 512


def clusters_bytes(status: os.stat_result) -> int:
    """Windows: a stat does not tell; whole clusters of the usual size."""
    return -(-status.st_size // _CLUSTER_BYTES) * _CLUSTER_BYTES


def send_file(out_fd: int, in_fd: int, offset: None, count: int) -> int:  # noqa: ARG001 - called as os.sendfile
    """Copy from one file's position to the other's, as far as one chunk goes; 0 at the end."""
    data = os.read(in_fd, min(count, _CHUNK_BYTES))
    written = 0
    while written < len(data):
        written += os.write(out_fd, memoryview(data)[written:])
    return written
