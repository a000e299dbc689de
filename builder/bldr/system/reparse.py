"""Which files of Windows are links, in the words of POSIX: all that stands for another name. Pure.

The C library shows a junction as a directory, so that whoever walks a tree would walk out of it.
"""

import os
import stat
from collections.abc import Iterator
from typing import Any

_REPARSE_POINT = 0x400
_STANDS_FOR_A_NAME = 0x20000000
_PLAIN = ("st_mode", "st_ino", "st_dev", "st_nlink", "st_uid", "st_gid", "st_size")


def stands_for_a_name(tag: int) -> bool:
    """Whether a reparse point leads elsewhere; others are files, kept in an odd way (in a cloud, compressed)."""
    return bool(tag & _STANDS_FOR_A_NAME)


def is_link(status: os.stat_result) -> bool:
    """Of a stat that followed nothing."""
    if stat.S_ISLNK(status.st_mode):
        return True
    attributes: int = getattr(status, "st_file_attributes", 0)
    return bool(attributes & _REPARSE_POINT) and stands_for_a_name(getattr(status, "st_reparse_tag", 0))


def as_posix(status: os.stat_result, changed_ns: int | None = None) -> os.stat_result:
    """`status` of a link as that of one, and with the time of change, which the C library has none of."""
    # From Python 3.13 on names that this system's stat_result does not have are refused.
    names = [name for name in dir(os.stat_result) if name.startswith("st_") and hasattr(status, name)]
    more = {name: getattr(status, name) for name in names}
    if changed_ns is not None:
        more |= {"st_ctime_ns": changed_ns, "st_ctime": changed_ns / 10**9}
    seen: list[Any] = list(status)
    if is_link(status):
        seen[0] = stat.S_IFLNK | 0o777
    elif stat.S_ISREG(status.st_mode):
        seen[0] &= ~0o111  # guessed from the name, so that a descriptor and a path would show different ones
    return os.stat_result(seen, {name: value for name, value in more.items() if name not in _PLAIN})


def posix_target(target: str) -> str:
    """Where a link leads, with slashes; what names a drive or a host begins with one, since it is absolute."""
    slashed = target.replace("\\", "/")
    return f"/{slashed}" if slashed[1:2] == ":" else slashed


class Entry:
    """Stands in for os.DirEntry."""

    __slots__ = ("_entry", "name", "path")

    def __init__(self, entry: "os.DirEntry[str]") -> None:
        self._entry = entry
        self.name = entry.name
        self.path = entry.path

    def __fspath__(self) -> str:
        return self.path

    def inode(self) -> int:
        return self._entry.inode()

    def is_symlink(self) -> bool:
        return is_link(self._entry.stat(follow_symlinks=False))

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return self._entry.is_dir(follow_symlinks=follow_symlinks) and (follow_symlinks or not self.is_symlink())

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return self._entry.is_file(follow_symlinks=follow_symlinks) and (follow_symlinks or not self.is_symlink())

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        status = self._entry.stat(follow_symlinks=follow_symlinks)
        return status if follow_symlinks else as_posix(status)


class Listing:
    """Stands in for what os.scandir gives."""

    def __init__(self, entries: Any) -> None:
        self._entries = entries

    def __enter__(self) -> "Listing":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Entry]:
        return self

    def __next__(self) -> Entry:
        return Entry(next(self._entries))

    def close(self) -> None:
        self._entries.close()
