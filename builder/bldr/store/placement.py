"""Where the disk puts new files: in the neighbourhood of their directory, which may be worn out."""

import contextlib
import struct

from bldr.system import fcntl

_IS_64 = struct.calcsize("l") == 8
_GETFLAGS = 0x80086601 if _IS_64 else 0x80046601  # linux/fs.h, FS_IOC_GETFLAGS and FS_IOC_SETFLAGS
_SETFLAGS = 0x40086602 if _IS_64 else 0x40046602
_TOPDIR_FL = 0x20000


def spread(descriptor: int) -> None:
    """Let the directories that are made in this one lie apart, each with room for files of its own.

    ext4 puts a directory near its parent, and files into the group of their directory. There, without a journal, it
    looks at every inode that was deleted in the last minutes before it takes one that it may use: where many files were
    removed, making one takes as long as a small action. Directories in one with this flag (chattr(1), `T`) are put into
    groups that are rather empty. Other file systems do not know it, and nothing depends on it.
    """
    with contextlib.suppress(OSError):
        flags = int.from_bytes(fcntl.ioctl(descriptor, _GETFLAGS, bytes(8))[:4], "little")
        if not flags & _TOPDIR_FL:
            fcntl.ioctl(descriptor, _SETFLAGS, (flags | _TOPDIR_FL).to_bytes(8, "little"))
