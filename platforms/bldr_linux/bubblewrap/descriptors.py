"""Descriptors that the caller passed by number, which may be anything, or nothing."""

from __future__ import annotations

import os

from bldr_linux import syscalls
from bldr_linux.bubblewrap.failure import FatalError


def read_all(fd: int, what: str) -> bytes:
    """The content of a descriptor, which is closed; `what` begins the message when that is impossible."""
    parts = []
    try:
        while part := os.read(fd, 65536):
            parts.append(part)
        os.close(fd)
    except OSError as error:
        raise FatalError.of(what, error) from error
    return b"".join(parts)


def wait_for(fd: int) -> None:
    """Wait until there is something to read, or nobody left who could write; then close it."""
    try:
        os.read(fd, 1)
    except OSError:
        return  # what cannot be read cannot be waited for either, and bubblewrap goes on
    os.close(fd)


def close(fd: int | None) -> None:
    """Close a descriptor, if it is one."""
    if fd is not None:
        try:
            os.close(fd)
        except OSError:
            return


def close_all_but(kept: list[int]) -> None:
    """Close every descriptor but these and the standard streams."""
    first = 3
    for fd in sorted(set(kept)):
        if fd > first:
            syscalls.close_range(first, fd - 1)
        first = max(first, fd + 1)
    syscalls.close_range(first)
