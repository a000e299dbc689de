"""Watches a tree by `watchfiles`: where the kernel has no inotify, or where it is not told of all changes.

`watchfiles` drops in silence what the kernel's queue could not keep. What it tells is a reason to build, therefore;
that it tells nothing proves nothing.
"""

import contextlib
import os
import threading
from collections.abc import Collection, Iterable

from watchfiles._rust_notify import RustNotify

from bldr.load.names import NEVER_ENTERED
from bldr.watch.changes import Changes, is_output

_ADDED, _DELETED = 1, 3
_GROUPED_MS = 20
_STEP_MS = 5
_TIMEOUT_MS = 500


class PortableTree:
    """Owns a thread that waits for changes below `root`; `polled` compares times of files instead of being told.

    Whoever forks closes this before and opens another one after.
    """

    exact = False
    directories: Collection[str] = ()

    def __init__(self, root: str, ignored: Collection[str] = (), *, polled: bool = False, every_ms: int = 300) -> None:
        self.root = root
        self.fresh: set[str] = set()
        self._ignored = frozenset(ignored)
        self._notify = RustNotify([root], False, polled, every_ms, True, True)
        self._changes = Changes()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """A descriptor that can be read when something happened."""
        return self._reader

    def read(self) -> Changes:
        """What was told of until now."""
        with self._lock:
            changes, self._changes = self._changes, Changes()
            with contextlib.suppress(BlockingIOError):
                os.read(self._reader, 1 << 16)
        changes.gone |= not os.path.isdir(self.root)
        return changes

    def follow(self, _directories: Iterable[str], ignored: Collection[str]) -> list[str]:
        """All is watched already."""
        self._ignored = frozenset(ignored)
        return []

    def close(self) -> None:
        """End the thread."""
        if not self._ended.is_set():
            self._ended.set()
            self._thread.join()
            self._notify.close()
            os.close(self._reader)
            os.close(self._writer)

    def _watch(self) -> None:
        while not self._ended.is_set():
            try:
                told = self._notify.watch(_GROUPED_MS, _STEP_MS, _TIMEOUT_MS, self._ended)
            except RuntimeError:  # a directory went while it was being looked at, or the root did
                self._tell(None)
                self._ended.wait(_TIMEOUT_MS / 1000)
                continue
            if isinstance(told, set):
                self._tell(told)
            elif not os.path.isdir(self.root):
                self._tell(None)

    def _tell(self, told: set[tuple[int, str]] | None) -> None:
        with self._lock:
            if told is None:
                self._changes.lost = True
            for kind, path in told or ():
                self._take(kind, os.path.relpath(path, self.root))
            if self._changes:
                os.write(self._writer, b"!")

    def _take(self, kind: int, path: str) -> None:
        path = "" if path == "." else path.replace(os.sep, "/")
        if path.startswith("../"):
            return
        if not is_output(path):
            parts = path.split("/")
            if not NEVER_ENTERED.isdisjoint(parts):
                return
            if any("/".join(parts[:count]) in self._ignored for count in range(1, len(parts))):
                return
        (self._changes.listed if kind in (_ADDED, _DELETED) else self._changes.modified).add(path)
