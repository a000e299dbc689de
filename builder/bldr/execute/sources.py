"""Source files: their contents go into the store once, and a stat proves that they are still the same."""

import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bldr.api.errors import BldrError
from bldr.plan.entries import Entry
from bldr.store.digest import Digest, bytes_digest
from bldr.store.states import FileState
from bldr.store.store import Store
from bldr.system import os

if TYPE_CHECKING:
    from bldr.load.workspace import Workspace

_SETTLED_NS = 50_000_000
"""A file that changed less than this before it was read may change again within the clock's granularity: its state is
not believed the next time."""

_SMALL_BYTES = 1 << 20
_ASKED_AT_ONCE = 4096  # whose states are in memory together
_KEPT_AT_ONCE = 500
"""Files that are in memory before the store takes them: so many at most, and not much more together than one may be."""


class SourceError(BldrError):
    """A source file cannot be read, or changed while it was being built."""

    exit_code = 1


class Sources:
    """The entries of source files, by tree path. Reading a file and storing it is one step: what was hashed is kept.

    What the store does not know yet is read when an action is to have it, while others run.
    """

    def __init__(self, workspace: "Workspace", store: Store) -> None:
        self._workspace = workspace
        self._store = store
        self._known: dict[str, Entry] = {}
        self._unread: dict[str, int] = {}  # sizes, in bytes

    def prepare(self, paths: Iterable[str]) -> None:
        """Learn the states of many files at once. Raises SourceError for one that is not there."""
        wanted = [path for path in paths if path not in self._known and path not in self._unread]
        for at in range(0, len(wanted), _ASKED_AT_ONCE):
            self._prepare(wanted[at : at + _ASKED_AT_ONCE])

    def _prepare(self, paths: Sequence[str]) -> None:
        hosts = {path: self._workspace.host_path(path) for path in paths}
        remembered = self._store.files.get_many(hosts.values())
        for path, host in hosts.items():
            status = _stat(host, path)
            known = remembered.get(host)
            if known is not None and known[0] == signature(status):
                self._known[path] = _entry(path, known[1], status)
            else:
                self._unread[path] = status.st_size

    def size_bytes(self, path: str) -> int:
        """The size of a source, whether it was read or not. Raises SourceError."""
        self.prepare([path])
        return self._known[path].size_bytes if path in self._known else self._unread[path]

    def read(self, paths: Iterable[str]) -> None:
        """Have the entries of many files: together is cheaper. Raises SourceError."""
        paths = list(dict.fromkeys(paths))
        self.prepare(paths)
        unread = [path for path in paths if path in self._unread]
        learned: dict[str, FileState] = {}
        read: list[_Read] = []
        size_bytes = 0
        for path in unread:
            host = self._workspace.host_path(path)
            small = _read_small(path, host)
            if small is None:
                self._known[path], settled = self._read(path, host)
                if settled is not None:
                    learned[host] = settled
                continue
            read.append(small)
            size_bytes += len(small.data)
            if len(read) >= _KEPT_AT_ONCE or size_bytes >= _SMALL_BYTES:
                learned.update(self._keep(read))
                read, size_bytes = [], 0
        learned.update(self._keep(read))
        if learned:
            self._store.files.put_many(learned)
        for path in unread:
            del self._unread[path]

    def entry(self, path: str) -> Entry:
        if path not in self._known:
            self.read([path])
        return self._known[path]

    def is_source(self, path: str) -> bool:
        """Whether `path` is a source of which the build knows the content."""
        return path in self._known

    def restore(self, path: str) -> None:
        """Put a file's contents into the store again after they were lost there.

        Raises SourceError where the file is no longer what it was when the build read it.
        """
        before = self.entry(path)
        again, _ = self._read(path, self._workspace.host_path(path))
        if again != before:
            raise SourceError(f"{path} changed while it was being built", "build again")

    def _keep(self, read: Sequence["_Read"]) -> Iterator[tuple[str, FileState]]:
        """Store what was read and is not there yet; gives the states that prove later that nothing has changed."""
        digests = [bytes_digest(file.data) for file in read]
        lost = self._store.blobs.lost(digests)
        for file, digest in zip(read, digests, strict=True):
            if digest in lost:
                self._store.blobs.put_lost(file.data, digest)
                lost.discard(digest)
            self._known[file.path] = _entry(file.path, digest, file.status)
            if file.is_settled:
                yield file.host, (signature(file.status), digest)

    def _read(self, path: str, host: str) -> tuple[Entry, FileState | None]:
        """Store a file; also its signature, where a stat can prove later that nothing has changed since."""
        before = _stat(host, path)
        digest = self._store.blobs.put_file(os.path.realpath(host))  # links inside the package are allowed
        after = _stat(host, path)
        same = signature(before) == signature(after)
        settled = time.time_ns() - max(after.st_mtime_ns, after.st_ctime_ns) > _SETTLED_NS
        return _entry(path, digest, after), (signature(after), digest) if same and settled else None


class _Read(NamedTuple):
    """A small file: what it held, and its state before it was read. `is_settled`: no later change can have the same."""

    path: str
    host: str
    data: bytes
    status: os.stat_result
    is_settled: bool


def _read_small(path: str, host: str) -> _Read | None:
    """A regular file that is small; None for anything else, which goes another way. Raises SourceError."""
    now_ns = time.time_ns()
    try:
        descriptor = os.open(host, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # links inside the package are allowed
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size >= _SMALL_BYTES:
                return None
            data = os.read(descriptor, status.st_size + 1)  # room for a MiB takes ten times as long to get as to fill
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(data) != status.st_size:
        return None
    return _Read(path, host, data, status, now_ns - max(status.st_mtime_ns, status.st_ctime_ns) > _SETTLED_NS)


def signature(status: os.stat_result) -> bytes:
    """What of a stat changes whenever a file's content may have changed."""
    return b"%d %d %d %d %d" % (
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_mode,
    )


def _entry(path: str, digest: Digest, status: os.stat_result) -> Entry:
    return Entry(path, digest.hash, digest.size_bytes, bool(status.st_mode & stat.S_IXUSR))


def _stat(host: str, path: str) -> os.stat_result:
    try:
        return os.stat(host)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> SourceError:
    return SourceError(f"cannot read {path}: {error.strerror}", "is it still there, and readable?")
