"""Digests of large files, taken by threads while the loop goes on: hashing lets go of the interpreter."""

import contextlib
import stat
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bldr.execute.linktree import parents
from bldr.execute.walk import walk
from bldr.store.blobs import FileState, Hashed, file_state
from bldr.store.digest import Digest, descriptor_digest, open_regular
from bldr.system import os
from bldr.system.wakeup import open_wakeup

if TYPE_CHECKING:
    from threading import Thread

LARGE_BYTES = 16 << 20
"""What is smaller is hashed faster than a thread is started and heard of while others have much to do."""


class _StoppedError(Exception):
    """Nobody wants the digest any more."""


class Hashing:
    """Owns the threads, one for each action that ended with large outputs. `fileno` is readable when one is done."""

    def __init__(self) -> None:
        self._wakeup = open_wakeup()
        self._threads: set[Thread] = set()
        self._done: deque[tuple[Thread, Callable[[Hashed | None], None], Hashed | None]] = deque()
        self._is_stopped = False

    def fileno(self) -> int:
        return self._wakeup.fileno()

    def start(self, paths: Sequence[str], done: Callable[[Hashed | None], None]) -> None:
        """Hash some files; `done` is called by `finish`, with None where it was stopped. One that cannot be read is
        left out, for whoever needs it to find out."""
        from threading import Thread  # few builds have files that are large

        thread = Thread(target=lambda: self._run(thread, paths, done), name="hashing", daemon=True)
        self._threads.add(thread)
        thread.start()

    def finish(self) -> None:
        """Tell of those that are done."""
        self._wakeup.clear()
        while self._done:
            thread, done, hashed = self._done.popleft()
            thread.join()
            self._threads.discard(thread)
            done(hashed)

    def stop(self) -> None:
        """End what runs, within a chunk of a file, and what is started later; `finish` still tells of it."""
        self._is_stopped = True

    def close(self) -> None:
        """End what still runs; nobody hears of it."""
        self.stop()
        for thread in self._threads:
            thread.join()
        self._wakeup.close()

    def _run(self, thread: "Thread", paths: Sequence[str], done: Callable[[Hashed | None], None]) -> None:
        hashed: dict[FileState, tuple[Digest, bytes]] = {}
        try:
            for path in paths:
                self._go_on()
                with contextlib.suppress(OSError):
                    state, found = _hash(path, self._go_on)
                    hashed[state] = found
        except _StoppedError:
            pass
        finally:
            self._done.append((thread, done, None if self._is_stopped else hashed))
            self._wakeup.wake()

    def _go_on(self) -> None:
        if self._is_stopped:
            raise _StoppedError


def _hash(path: str, between: Callable[[], None]) -> tuple[FileState, tuple[Digest, bytes]]:
    """Digest and checksum of a file that nobody writes to. Raises OSError, and what `between` raises."""
    descriptor = open_regular(path)
    try:
        return file_state(os.fstat(descriptor)), descriptor_digest(descriptor, between)
    finally:
        os.close(descriptor)


def large_files(root: str, path: str) -> list[str]:
    """The large regular files at or below `path` in the tree at `root`, in which nothing moves any more. No link is
    followed, nor one that stands in the place of a directory above. Raises OSError where nothing is there."""
    for parent in parents(path):
        if not stat.S_ISDIR(os.lstat(f"{root}/{parent}" if parent else root).st_mode):
            return []
    top = f"{root}/{path}"
    status = os.lstat(top)
    if stat.S_ISREG(status.st_mode):
        return [top] if status.st_size >= LARGE_BYTES else []
    found = []
    for directory, _, names in walk(top) if stat.S_ISDIR(status.st_mode) else ():
        for name in names:
            inner = os.lstat(f"{directory}/{name}")
            if stat.S_ISREG(inner.st_mode) and inner.st_size >= LARGE_BYTES:
                found.append(f"{directory}/{name}")
    return found
