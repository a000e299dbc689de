"""The kernel's watches of one process, read so that it is known when the kernel had to drop something: inotify(7).

The kernel queues an event before the system call that caused it returns. Whoever has read what was queued when a
question arrived has therefore seen all that happened before the question, and needs no file to wait for.
"""

import array
import ctypes
import errno
import fcntl
import os
import struct
import termios
from typing import NamedTuple

MODIFY = 0x2
ATTRIB = 0x4
CLOSE_WRITE = 0x8
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
DELETE_SELF = 0x400
MOVE_SELF = 0x800
UNMOUNT = 0x2000
Q_OVERFLOW = 0x4000
IGNORED = 0x8000
ISDIR = 0x40000000

_ONLYDIR = 0x1000000
_DONT_FOLLOW = 0x2000000
_EXCL_UNLINK = 0x4000000

CONTENT = MODIFY | ATTRIB | CLOSE_WRITE
"""What stands at a name is another than before. A shared mapping says nothing until it is closed for writing."""

LISTING = CREATE | DELETE | MOVED_FROM | MOVED_TO
SELF = DELETE_SELF | MOVE_SELF | UNMOUNT

_WATCHED = CONTENT | LISTING | DELETE_SELF | MOVE_SELF | _ONLYDIR | _DONT_FOLLOW | _EXCL_UNLINK
_HEADER = struct.Struct("iIII")
_READ_BYTES = 1 << 18


class WatchLimitError(OSError):
    """The user has no watches or instances left."""


class Event(NamedTuple):
    """One event: `name` is that of an entry of the directory watched as `watch`, empty for the directory itself."""

    watch: int
    mask: int
    name: str


class Inotify:
    """Owns one instance. Not thread-safe."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._add = self._libc.inotify_add_watch
        self._add.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32]
        self.descriptor: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.descriptor < 0:
            raise _error("")

    def add(self, directory: str) -> int:
        """Watch a directory, not through a link; what is watched already keeps its number.

        Raises FileNotFoundError, NotADirectoryError, PermissionError, WatchLimitError.
        """
        watch: int = self._add(self.descriptor, os.fsencode(directory), _WATCHED)
        if watch < 0:
            raise _error(directory)
        return watch

    def remove(self, watch: int) -> None:
        """Watch a directory no more; what is queued of it may still come."""
        self._libc.inotify_rm_watch(self.descriptor, watch)  # gone already is as good

    def read(self) -> list[Event]:
        """Every event that is queued now, in order. What comes while this reads may be among them or not."""
        events: list[Event] = []
        wanted = self._queued_bytes()
        while wanted > 0:
            try:
                data = os.read(self.descriptor, _READ_BYTES)
            except BlockingIOError:
                break
            wanted -= len(data)
            _parse(data, events)
        return events

    def close(self) -> None:
        """End all watches."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _queued_bytes(self) -> int:
        size = array.array("i", [0])
        fcntl.ioctl(self.descriptor, termios.FIONREAD, size)
        return size[0]


def _parse(data: bytes, events: list[Event]) -> None:
    at = 0
    while at < len(data):
        watch, mask, _, length = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        name = os.fsdecode(data[at : at + length].rstrip(b"\0"))
        events.append(Event(watch, mask, name))
        at += length


def _error(path: str) -> OSError:
    number = ctypes.get_errno()
    kind = WatchLimitError if number in (errno.ENOSPC, errno.EMFILE, errno.ENOMEM) else OSError
    return kind(number, os.strerror(number), path)
