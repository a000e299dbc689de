"""Directories that nobody needs any more and that take long to remove: put aside at once, removed when there is time.

Unlinking hundreds of files takes longer than a small action, and so does removing a directory that was large.
"""

from collections import deque

from bldr.store.removal import remove_tree
from bldr.system import os

_MOST = 16
"""So many wait at most."""


class Trash:
    """What waits below the directory `parent`, which must be on the file system of all that is added."""

    def __init__(self, parent: str) -> None:
        self._parent = parent
        self._waiting: deque[str] = deque()
        self._added = 0

    def add(self, name: str, dir_fd: int) -> None:
        """Take the directory `name` away from below `dir_fd`. Raises OSError, CacheError."""
        self._added += 1
        place = f"trash-{self._added}"
        os.rename(name, os.path.join(self._parent, place), src_dir_fd=dir_fd)
        self._waiting.append(place)
        if len(self._waiting) > _MOST:
            self.remove_one()

    def remove_one(self) -> bool:
        """Remove what waited longest; False where nothing does. Raises CacheError."""
        if not self._waiting:
            return False
        descriptor = os.open(self._parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove_tree(descriptor, self._waiting.popleft())
        finally:
            os.close(descriptor)
        return True

    def close(self) -> None:
        """Remove everything."""
        while self.remove_one():
            pass
