"""Where downloads and unpacked trees lie in the store, and how several processes share them."""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bldr.fetch.tree import remove_tree
from bldr.system import fcntl, os

_PARTIAL = re.compile(r"\.partial-((?:[a-z0-9]+-)?[0-9a-f]{64,})")
_PARTS = ("tree", "damaged")
"""What work on an entry is called."""

_UNPACK_VERSION = 1
"""Raised when the same archive would come out as another tree."""


class Locations:
    """The directories `downloads` and `external` below the store's root.

    A name that starts with a dot is never a result: `.lock-<key>` serialises all work on one archive, whose pin has
    this key, and is never removed; `.partial-<key>...` is work of whoever holds that lock.
    """

    def __init__(self, store_root: str) -> None:
        self.downloads = os.path.join(store_root, "downloads")
        self.external = os.path.join(store_root, "external")

    def download(self, key: str) -> str:
        return os.path.join(self.downloads, key)

    def entry(self, key: str, strip_prefix: str, *, unpack: bool = True, programs: bool = True) -> str:
        """The directory that holds `tree` and `manifest`."""
        form = strip_prefix if unpack else "\0file"
        form += "" if programs else "\0no programs"
        digest = hashlib.sha256(f"{_UNPACK_VERSION}\0{form}".encode()).hexdigest()[:16]
        return os.path.join(self.external, f"{key}-{digest}")

    def partial_download(self, key: str) -> str:
        return os.path.join(self.downloads, f".partial-{key}")

    def partial_entry(self, key: str, what: str) -> str:
        return os.path.join(self.external, f".partial-{key}-{what}")

    def prepare(self) -> None:
        for path in (self.downloads, self.external):
            os.makedirs(path, 0o711, exist_ok=True)

    @contextmanager
    def locked(self, key: str, on_wait: Callable[[], None]) -> Iterator[None]:
        """Holds the right to change what belongs to one archive; whoever dies gives it back."""
        fd = self._open_lock(key)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(fd, fcntl.LOCK_EX)
            self._remove_partial(key)
            yield
        finally:
            os.close(fd)

    def sweep(self) -> None:
        """Remove what processes that died left behind, whatever archive it belongs to."""
        names = [name for directory in (self.downloads, self.external) for name in os.listdir(directory)]
        keys = {match[1] for match in map(_PARTIAL.match, names) if match}
        for key in sorted(keys):
            fd = self._open_lock(key)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._remove_partial(key)
            except BlockingIOError:
                continue  # somebody is at it
            finally:
                os.close(fd)

    def _open_lock(self, key: str) -> int:
        path = os.path.join(self.external, f".lock-{key}")
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def _remove_partial(self, key: str) -> None:
        remove_tree(self.partial_download(key))
        for what in _PARTS:
            remove_tree(self.partial_entry(key, what))
