"""Directories beside the blobs that can be made again: staged sysroots, unpacked sources, their archives.

Whoever uses one touches it; what nobody touched for long, and no living process can be using, may go.
"""

import time

from bldr.store.presence import Swept
from bldr.store.removal import remove_tree
from bldr.system import os

LOCAL = ("sysroots",)
"""Made from what is on this machine: they may go whenever space is wanted."""

FETCHED = ("external", "downloads")
"""Made from the network: they go by age only."""


def touch(path: str) -> None:
    """Say that a directory or file is used now."""
    os.utime(path)


def evict_trees(root: str, swept: Swept, max_size_bytes: int | None, max_age_s: float | None) -> int:
    """Remove what was not touched for `max_age_s` and, where a size is asked for, local ones that are not in use.

    `swept` tells when the oldest other living process began: what was touched since then stays. Names that start with
    a dot belong to somebody at work. Returns how many were removed.
    """
    removed = 0
    oldest_ns = None if max_age_s is None else time.time_ns() - int(max_age_s * 1e9)
    for directory in (*LOCAL, *FETCHED):
        limit_ns = oldest_ns
        if max_size_bytes is not None and directory in LOCAL:
            limit_ns = time.time_ns()
        if limit_ns is None:
            continue
        if swept.oldest_start_ns is not None:
            limit_ns = min(limit_ns, swept.oldest_start_ns)
        removed += _evict(os.path.join(root, directory), limit_ns)
    return removed


def _evict(directory: str, limit_ns: int) -> int:
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    removed = 0
    try:
        for name in os.listdir(descriptor):
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if not name.startswith(".") and status.st_mtime_ns < limit_ns:
                remove_tree(descriptor, name)
                removed += 1
    finally:
        os.close(descriptor)
    return removed
