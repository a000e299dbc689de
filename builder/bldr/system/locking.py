"""Stands in for the module `fcntl` on Windows: locks of whole files, which end with their holder.

Locks of Windows keep others from reading and writing what is locked: a byte is locked that no file has.
"""

import ctypes
import errno
import os
import time
from importlib import import_module
from typing import Any

LOCK_SH, LOCK_EX, LOCK_NB, LOCK_UN = 1, 2, 4, 8

_EXCLUSIVE, _AT_ONCE = 2, 1
_LOCK_VIOLATION, _IO_PENDING, _NOT_LOCKED = 33, 997, 158
_PAUSE_S = 0.02
_FAR = 0x7FFFFFFF


class _Place(ctypes.Structure):
    """OVERLAPPED: where the byte is."""

    _fields_ = [
        ("internal", ctypes.c_void_p),
        ("internal_high", ctypes.c_void_p),
        ("offset", ctypes.c_uint32),
        ("offset_high", ctypes.c_uint32),
        ("event", ctypes.c_void_p),
    ]


def flock(descriptor: int, operation: int) -> None:
    """flock(2). One that has to wait can be interrupted, which a call that waits in the kernel could not."""
    kernel: Any = import_module("ctypes").WinDLL("kernel32", use_last_error=True)
    handle = ctypes.c_void_p(import_module("msvcrt").get_osfhandle(descriptor))
    # what is locked already would be locked twice, or wait for itself
    if not kernel.UnlockFileEx(handle, 0, 1, 0, ctypes.byref(_place())):
        _check(_NOT_LOCKED, _LOCK_VIOLATION)
    if operation & LOCK_UN:
        return
    flags = _AT_ONCE | (_EXCLUSIVE if operation & LOCK_EX else 0)
    while not kernel.LockFileEx(handle, flags, 0, 1, 0, ctypes.byref(_place())):
        _check(_LOCK_VIOLATION, _IO_PENDING)
        if operation & LOCK_NB:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        time.sleep(_PAUSE_S)


def ioctl(descriptor: int, request: int, arg: object = 0) -> bytes:  # noqa: ARG001
    """Raises OSError, as for a file system that does not know the request."""
    raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))


def _place() -> _Place:
    return _Place(None, None, 0, _FAR, None)


def _check(*expected: int) -> None:
    """Raise what the last call failed of, unless it is among these."""
    code = ctypes.get_last_error()  # type: ignore[attr-defined, unused-ignore]
    if code not in expected:
        raise OSError(0, ctypes.FormatError(code), None, code)  # type: ignore[attr-defined, unused-ignore]
