"""Stands in for the module `os` where there are no descriptors of directories: Windows.

What is not named here is the module's own. `os.open` and its like take descriptors of directories, follow no link where
they are asked not to, and replace and remove what is open or read-only, as POSIX has it.
"""

import os as _os
from typing import Any

from bldr.system.by_path import ByPath
from bldr.system.win32 import O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, Win32

__all__ = ["O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK"]

_calls = ByPath(Win32())
open, stat, lstat, fstat = _calls.open, _calls.stat, _calls.lstat, _calls.fstat
chmod, fchmod, chown, fchown, utime = _calls.chmod, _calls.fchmod, _calls.chown, _calls.fchown, _calls.utime
mkdir, rmdir, unlink, remove = _calls.mkdir, _calls.rmdir, _calls.unlink, _calls.unlink
rename, replace, link, symlink = _calls.rename, _calls.rename, _calls.link, _calls.symlink
readlink, access, listdir, scandir = _calls.readlink, _calls.access, _calls.listdir, _calls.scandir

O_CLOEXEC: int = getattr(_os, "O_NOINHERIT", 0)


def __getattr__(name: str) -> Any:
    return getattr(_os, name)


def geteuid() -> int:
    """What a stat says of every file's owner here: users have no numbers."""
    return 0


getegid = geteuid
