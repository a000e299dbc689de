"""Many hard links at a time to files that are known: a look at each and the link, with nothing between.

In Python here, and in C (`links.c`) where bldr was installed beside a compiler.
"""

import sys
from collections.abc import Callable
from functools import cache

from bldr.system import os

Link = tuple[str, int, int, str]
"""The name of a file, the mode and the size in bytes that a stat of it must show, and the path of the link to it."""

MakeLinks = Callable[[tuple[Link, ...], int, int, int], list[int]]
"""As `make_links`."""

_COMPILED_VERSION = 1  # as in links.c


def make_links(wanted: tuple[Link, ...], from_fd: int, to_fd: int, modified_ns: int) -> list[int]:
    """Link files below the directory `from_fd` to paths below `to_fd`, in order.

    Ends before the first that was not modified at `modified_ns`, is otherwise not what it must be, or cannot be linked,
    whatever the reason. Returns the numbers of the inodes of those before it.
    """
    made: list[int] = []
    try:
        for name, mode, size_bytes, path in wanted:
            status = os.stat(name, dir_fd=from_fd, follow_symlinks=False)
            if status.st_mode != mode or status.st_size != size_bytes or status.st_mtime_ns != modified_ns:
                break
            os.link(name, path, src_dir_fd=from_fd, dst_dir_fd=to_fd, follow_symlinks=False)
            made.append(status.st_ino)
    except (OSError, ValueError):  # the latter for what is no name
        pass
    return made


def compiled() -> MakeLinks | None:
    """`make_links` in C; None where that was not compiled, or from another version of the source, or where names of
    files are not UTF-8, which is what it takes them for."""
    if sys.getfilesystemencoding() != "utf-8":
        return None
    try:
        from bldr.store._links import VERSION, make_links
    except ImportError:
        return None
    return make_links if VERSION == _COMPILED_VERSION else None


@cache
def fastest() -> MakeLinks:
    """The compiled one, where there is one."""
    return compiled() or make_links
