"""The store: everything that is kept between builds, in one directory that several processes share."""

import errno
import stat
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from bldr.store.blobs import Blobs
from bldr.store.database import Batch, Database
from bldr.store.errors import storage_error
from bldr.store.inodes import Inodes
from bldr.store.memo import Memo
from bldr.store.presence import DirectoryLock, Presence
from bldr.store.results import Results
from bldr.store.states import FileStates
from bldr.store.trees import evict_trees
from bldr.system import os

if TYPE_CHECKING:
    from bldr.store.gc import GcReport, VerifyReport

VERSION = "v1"
_TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n# The cache of bldr, which can make it anew.\n"
"""Version of the directory's layout. The database's schema has its own, in `database.py`."""


def open_store(cache_dir: str, warn: Callable[[str, str], None] | None = None) -> "Store":
    """Open the store in `cache_dir`, which is made where it is not there, and remove what dead processes left.

    `warn` is told (message, hint) when damage had to be worked around; without it, standard error is. Raises CacheError
    where the directory cannot be used.
    """
    return Store(os.path.abspath(cache_dir), warn or _warn_on_stderr)


class Store:
    """Owns `<cache_dir>/v1` for one process and one thread; close it, or leave the `with` block, to keep everything.

    `root` has mode 0711 below a 0700 parent: whoever holds a descriptor inside can walk on, nobody else gets in.
    `staging` is this process's own directory, for the directories of its actions; it is gone after `close`, and when
    the process dies the next one removes it. Names in it that start with a dot are the store's.
    """

    def __init__(self, cache_dir: str, warn: Callable[[str, str], None]) -> None:
        self.root = os.path.join(cache_dir, VERSION)
        staging = os.path.join(self.root, "staging")
        self._blobs_path = os.path.join(self.root, "blobs")
        owner = _prepare(cache_dir, [self.root, staging, self._blobs_path])
        with ExitStack() as opened:
            self._lock = DirectoryLock(os.path.join(self.root, "blobs.lock"), owner)
            opened.callback(self._lock.close)
            self._database = Database(self.root, warn, owner)
            opened.callback(self._database.close)
            self._presence = Presence(staging, owner)
            opened.callback(self._presence.close)
            self._presence.sweep()
            self._batch = Batch(self._database)
            self._inodes = Inodes(self._blobs_path, self._presence, self._lock, self._database, self._batch, owner)
            opened.callback(self._inodes.close)
            self._opened = opened.pop_all()
        self.staging = self._presence.path
        self.blobs = Blobs(self._inodes)
        self.results = Results(self._database, self._batch, self.blobs)
        self.files = FileStates(self._database, self._batch)
        self.memo = Memo(self._database, self._batch)
        self._batch.writers = (self._inodes, self.results, self.files, self.memo)

    def flush(self) -> None:
        """Commit what was put: what is committed outlives a kill. Raises CacheError."""
        self._batch.flush()

    def gc(self, max_size_bytes: int | None = None, max_age_s: float | None = None) -> "GcReport":
        """Take away what was not used for `max_age_s`, then the least recently used until the rest fits."""
        from bldr.store.gc import collect  # no build collects garbage

        self.flush()
        self._inodes.forget()
        self.results.forget()
        report = collect(self._blobs_path, self._database, self._presence, self._lock, max_size_bytes, max_age_s)
        trees = evict_trees(self.root, self._presence.sweep(), max_size_bytes, max_age_s)
        return report._replace(trees=trees)

    def verify(self) -> "VerifyReport":
        """Read every blob and compare it with its SHA-256; remove what is damaged."""
        from bldr.store.gc import verify

        self.flush()
        self._inodes.forget()
        return verify(self._blobs_path, self._lock)

    def close(self) -> None:
        """Commit what was put and let go of everything, also where the commit fails. Raises CacheError."""
        with self._opened:
            self._opened = ExitStack()  # closing twice is closing once
            self.flush()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _prepare(cache_dir: str, below: list[str]) -> tuple[int, int] | None:
    """Make the directories. When root uses somebody's cache: who must own what is made in it."""
    try:
        os.makedirs(os.path.dirname(cache_dir), exist_ok=True)
        if _make(cache_dir, 0o700, None):  # one that was there may hold more than our cache
            _tag(cache_dir)
        status = os.stat(cache_dir)
        owner = (status.st_uid, status.st_gid) if os.geteuid() == 0 and status.st_uid != 0 else None
        for directory in below:
            _make(directory, 0o711, owner)
    except OSError as error:
        raise storage_error("make", error.filename or cache_dir, error) from error
    return owner


def _make(directory: str, mode: int, owner: tuple[int, int] | None) -> bool:
    """Whether it was not there before."""
    is_new = True
    try:
        os.mkdir(directory, mode)
    except FileExistsError:
        status = os.stat(directory)
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "something else than a directory is there", directory) from None
        if stat.S_IMODE(status.st_mode) == mode:
            return False
        is_new = False
    os.chmod(directory, mode)
    if owner:
        os.chown(directory, *owner)
    return is_new


def _tag(cache_dir: str) -> None:
    """Have backups, and a workspace that the cache stands in, pass it by: https://bford.info/cachedir."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with suppress(OSError):  # nothing here needs it
        descriptor = os.open(os.path.join(cache_dir, "CACHEDIR.TAG"), flags, 0o600)
        try:
            os.write(descriptor, _TAG)
        finally:
            os.close(descriptor)


def _warn_on_stderr(message: str, hint: str) -> None:
    sys.stderr.write(f"warning: {message}\nhint: {hint}\n")
