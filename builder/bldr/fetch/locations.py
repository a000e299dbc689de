"""Where downloads and unpacked trees lie in the store, and how several processes share them."""

import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bldr.fetch.tree import remove_tree

_PARTIAL = re.compile(r"\.partial-([0-9a-f]{64})")
_UNPACK_VERSION = 1
"""Raised when the same archive would come out as another tree."""


class Locations:
    """The directories `downloads` and `external` below the store's root.

    A name that starts with a dot is never a result: `.lock-<sha256>` serialises all work on one archive and is never
    removed, `.partial-<sha256>...` is work of whoever holds that lock.
    """

    def __init__(self, store_root: str) -> None:
        self.downloads = os.path.join(store_root, "downloads")
        self.external = os.path.join(store_root, "external")

    def download(self, sha256: str) -> str:
        return os.path.join(self.downloads, sha256)

    def entry(self, sha256: str, strip_prefix: str) -> str:
        """The directory that holds `tree` and `manifest`."""
        digest = hashlib.sha256(f"{_UNPACK_VERSION}\0{strip_prefix}".encode()).hexdigest()[:16]
        return os.path.join(self.external, f"{sha256}-{digest}")

    def partial_download(self, sha256: str) -> str:
        return os.path.join(self.downloads, f".partial-{sha256}")

    def partial_entry(self, sha256: str, what: str) -> str:
        return os.path.join(self.external, f".partial-{sha256}-{what}")

    def prepare(self) -> None:
        for path in (self.downloads, self.external):
            os.makedirs(path, 0o711, exist_ok=True)

    @contextmanager
    def locked(self, sha256: str, on_wait: Callable[[], None]) -> Iterator[None]:
        """Holds the right to change what belongs to one archive; whoever dies gives it back."""
        fd = self._open_lock(sha256)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(fd, fcntl.LOCK_EX)
            self._remove_partial(sha256)
            yield
        finally:
            os.close(fd)

    def sweep(self) -> None:
        """Remove what processes that died left behind, whatever archive it belongs to."""
        names = [name for directory in (self.downloads, self.external) for name in os.listdir(directory)]
        hashes = {match[1] for match in map(_PARTIAL.match, names) if match}
        for sha256 in sorted(hashes):
            fd = self._open_lock(sha256)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._remove_partial(sha256)
            except BlockingIOError:
                continue  # somebody is at it
            finally:
                os.close(fd)

    def _open_lock(self, sha256: str) -> int:
        path = os.path.join(self.external, f".lock-{sha256}")
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def _remove_partial(self, sha256: str) -> None:
        for directory in (self.downloads, self.external):
            for name in os.listdir(directory):
                if name.startswith(f".partial-{sha256}"):
                    remove_tree(os.path.join(directory, name))
