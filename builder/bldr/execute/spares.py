"""Empty directories for trees. Making one is dear (up to a millisecond on an ext4 without a journal, while others are
being removed): what one tree needs no more serves the next, and what is likely to be needed is made ahead.
"""

import struct
from typing import NamedTuple

from bldr.execute.linktree import Owner, make_directory
from bldr.system import fcntl, os

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a directory is opened."""

_GETFLAGS = 0x80086601 if struct.calcsize("l") == 8 else 0x80046601  # linux/fs.h, FS_IOC_GETFLAGS
_INDEXED = 0x1000  # linux/fs.h, FS_INDEX_FL: says that a directory is large
_MOST = 64
"""So many lie ready at most."""


class Made(NamedTuple):
    """What can be seen of one of our directories: who changes any of it leaves a trace to the next action."""

    inode: int
    mode: int
    owner: tuple[int, int]
    flags: int
    attributes: tuple[tuple[str, bytes], ...]


class Spares:
    """What lies ready below the directory `parent`, which must be on the file system of all trees; whoever removes that
    removes all."""

    def __init__(self, parent: str) -> None:
        self._parent = parent
        self._ready: dict[Owner, list[tuple[str, Made]]] = {}
        self._wanted: dict[Owner, int] = {}
        self._made = 0

    def take(self, owner: Owner) -> tuple[str, Made] | None:
        """The path of one that is to be moved away, and what is seen of it; None where there is none."""
        ready = self._ready.get(owner)
        return ready.pop() if ready else None

    def give(self, name: str, dir_fd: int, owner: Owner, made: Made) -> bool:
        """Move an empty directory here; False where there are enough, and it is the caller's still. Raises OSError."""
        ready = self._ready.setdefault(owner, [])
        if len(ready) >= _MOST:
            return False
        place = self._place()
        os.rename(name, place, src_dir_fd=dir_fd)
        ready.append((place, made))
        return True

    def expect(self, owner: Owner, number: int) -> None:
        """So many are likely to be needed by the next tree."""
        self._wanted[owner] = min(number, _MOST)

    def make_ahead(self) -> bool:
        """Make one that is likely to be needed; False where as many are there, or none can be made: whoever needs one
        says what is the matter."""
        for owner, number in self._wanted.items():
            if len(self._ready.setdefault(owner, [])) < number:
                try:
                    self._make(owner)
                except OSError:
                    self._wanted.clear()
                    return False
                return True
        return False

    def _make(self, owner: Owner) -> None:
        place = self._place()
        make_directory(place, owner)
        descriptor = os.open(place, DIRECTORY)
        try:
            self._ready[owner].append((place, seen(descriptor, os.fstat(descriptor))))
        finally:
            os.close(descriptor)

    def _place(self) -> str:
        self._made += 1
        return os.path.join(self._parent, f"spare-{self._made}")


def seen(descriptor: int, status: os.stat_result) -> Made:
    """What can be seen of the directory behind a descriptor, with its stat."""
    try:
        flags = int.from_bytes(fcntl.ioctl(descriptor, _GETFLAGS, bytes(8))[:4], "little") & ~_INDEXED
    except OSError:  # a file system without them
        flags = 0
    attributes = tuple((name, os.getxattr(descriptor, name)) for name in os.listxattr(descriptor))
    return Made(status.st_ino, status.st_mode, (status.st_uid, status.st_gid), flags, attributes)
