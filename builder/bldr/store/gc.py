"""Throwing away what was not used for longest, while other processes go on building."""

import contextlib
import errno
import sqlite3
import time
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from bldr.store.database import Database
from bldr.store.digest import file_digest
from bldr.store.errors import storage_error
from bldr.store.inodes import EXECUTABLE, is_hash
from bldr.store.presence import DirectoryLock, Presence
from bldr.store.removal import remove_tree
from bldr.store.results import split_hashes
from bldr.system import os

_TOMBSTONES_S = 90 * 86400


class GcReport(NamedTuple):
    """What was taken, and what is left. `leftovers` are directories of processes that died, `trees` the sysroots and
    fetched sources that were removed."""

    results: int
    blobs: int
    freed_bytes: int
    kept_results: int
    kept_blobs: int
    kept_bytes: int
    leftovers: int
    trees: int = 0


class VerifyReport(NamedTuple):
    """`damaged` are the hashes of the blobs that were removed."""

    blobs: int
    size_bytes: int
    damaged: tuple[str, ...]


class File(NamedTuple):
    """One inode of a blob: its name below `blobs/`, its size and when it was last used."""

    name: str
    size_bytes: int
    changed_ns: int


class Stored(NamedTuple):
    """One row of the results: what it needs and when it was last used."""

    key: str
    isolation: str
    hashes: tuple[str, ...]
    size_bytes: int
    used_s: int


class Plan(NamedTuple):
    """What to take: results, and hashes of blobs."""

    results: list[Stored]
    hashes: set[str]


def plan(
    results: list[Stored], files: dict[str, list[File]], max_size_bytes: int | None, oldest_s: float | None
) -> Plan:
    """Walk from the most to the least recently used and keep what is young enough while it fits.

    A result counts with the blobs that no result before it needed. A blob that no result needs (a source file that was
    staged) counts by itself, as of its last use. A result whose blobs are gone is of no use to anybody.
    """
    needed = {digest_hash for result in results for digest_hash in result.hashes}
    items: list[tuple[int, tuple[str, ...], Stored | None]]
    items = [(result.used_s, result.hashes, result) for result in results]
    for digest_hash, inodes in files.items():
        if digest_hash not in needed:
            used_s = max(inode.changed_ns for inode in inodes) // 10**9
            items.append((used_s, (digest_hash,), None))
    items.sort(key=lambda item: item[0], reverse=True)
    dropped, kept = list[Stored](), set[str]()
    free_bytes = float("inf") if max_size_bytes is None else max_size_bytes
    for used_s, hashes, result in items:
        missing = any(digest_hash not in files for digest_hash in hashes)
        own = set(hashes) - kept
        size = result.size_bytes if result else 0
        size += sum(inode.size_bytes for digest_hash in own for inode in files.get(digest_hash, ()))
        if not missing and (oldest_s is None or used_s >= oldest_s) and size <= free_bytes:
            free_bytes -= size
            kept |= own
            continue
        if not missing:
            free_bytes = -1  # nothing that was used less recently stays in its place
        if result:
            dropped.append(result)
    return Plan(dropped, files.keys() - kept)


def collect(
    blobs_path: str,
    database: Database,
    presence: Presence,
    lock: DirectoryLock,
    max_size_bytes: int | None,
    max_age_s: float | None,
) -> GcReport:
    """One collection. Results go first, with a tombstone each, then the blobs that only they needed.

    What another process uses stays: a process pins each blob that it relies on by renewing its change time, and
    nothing is removed that changed since the oldest living process began. A result that is put meanwhile has pinned
    its blobs before. Raises CacheError.
    """
    oldest_s = None if max_age_s is None else time.time() - max_age_s
    try:
        now_ns = presence.now_ns()  # before the look at who is alive: whoever comes later pins later
        swept = presence.sweep()
        spared_ns = now_ns if swept.oldest_start_ns is None else min(now_ns, swept.oldest_start_ns)
        results = database.run(_results)  # before the files: the blobs of these are there by now
        files = _files(blobs_path)
        doomed = plan(results, files, max_size_bytes, oldest_s)
        database.transaction(lambda connection: _evict(connection, doomed.results, oldest_s))
        inodes = [inode for digest_hash in sorted(doomed.hashes) for inode in files[digest_hash]]
        removed = _remove(blobs_path, inodes, lock, spared_ns)
        gone = [_hash_of(inode.name) for inode in removed if not inode.name.endswith(EXECUTABLE)]
        database.transaction(lambda connection: _forget(connection, gone))
        database.run(lambda connection: connection.execute("PRAGMA incremental_vacuum").fetchall())
    except OSError as error:
        raise storage_error("collect garbage in", blobs_path, error) from error
    freed_bytes = sum(inode.size_bytes for inode in removed)
    return GcReport(
        results=len(doomed.results),
        blobs=len(gone),
        freed_bytes=freed_bytes,
        kept_results=len(results) - len(doomed.results),
        kept_blobs=len(files) - len(gone),
        kept_bytes=sum(inode.size_bytes for inodes in files.values() for inode in inodes) - freed_bytes,
        leftovers=swept.removed,
    )


def verify(blobs_path: str, lock: DirectoryLock) -> VerifyReport:
    """Compare every blob with its SHA-256 and remove the damaged ones. Raises CacheError."""
    damaged, size_bytes = [], 0
    files = _files(blobs_path)
    try:
        for digest_hash, inodes in files.items():
            for inode in inodes:
                path = os.path.join(blobs_path, inode.name)
                size_bytes += inode.size_bytes
                if not _is_sound(path, digest_hash):
                    _remove(blobs_path, [inode], lock, None)
                    damaged.append(digest_hash)
    except OSError as error:
        raise storage_error("verify", blobs_path, error) from error
    return VerifyReport(len(files), size_bytes, tuple(sorted(set(damaged))))


def _results(connection: sqlite3.Connection) -> list[Stored]:
    rows = connection.execute("SELECT key, isolation, blobs, length(record) + length(blobs), used FROM results")
    return [Stored(key, isolation, split_hashes(blobs), size, used) for key, isolation, blobs, size, used in rows]


def _evict(connection: sqlite3.Connection, results: list[Stored], oldest_s: float | None) -> None:
    """Delete rows, but none that somebody has used since it was looked at."""
    now = int(time.time())
    for result in results:
        deleted = connection.execute(
            "DELETE FROM results WHERE key=? AND isolation=? AND used=?",
            (result.key, result.isolation, result.used_s),
        )
        if deleted.rowcount:
            connection.execute("INSERT OR REPLACE INTO tombstones VALUES (?,?)", (result.key, now))
    connection.execute("DELETE FROM tombstones WHERE evicted<?", (now - _TOMBSTONES_S,))
    if oldest_s is not None:
        connection.execute("DELETE FROM memo WHERE used<?", (oldest_s,))
        connection.execute("DELETE FROM states WHERE used<?", (oldest_s,))


def _forget(connection: sqlite3.Connection, hashes: list[str]) -> None:
    connection.executemany("DELETE FROM blobs WHERE hash=?", [(bytes.fromhex(digest_hash),) for digest_hash in hashes])


def _files(blobs_path: str) -> dict[str, list[File]]:
    """Every inode by the hash that its name claims. What has another name is not ours and stays."""
    found: dict[str, list[File]] = {}
    for directory in sorted(os.listdir(blobs_path)):
        with contextlib.suppress(NotADirectoryError), _directory(os.path.join(blobs_path, directory)) as dir_fd:
            for entry in os.listdir(dir_fd):
                name = f"{directory}/{entry}"
                digest_hash = _hash_of(name)
                if is_hash(digest_hash):
                    with contextlib.suppress(FileNotFoundError):
                        status = os.stat(entry, dir_fd=dir_fd, follow_symlinks=False)
                        found.setdefault(digest_hash, []).append(File(name, status.st_size, status.st_ctime_ns))
    return found


@contextlib.contextmanager
def _directory(path: str) -> Iterator[int]:
    """A descriptor of a directory; NotADirectoryError for anything else, also for a link to one."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _hash_of(name: str) -> str:
    return name.removesuffix(EXECUTABLE).replace("/", "")


def _remove(blobs_path: str, inodes: list[File], lock: DirectoryLock, spared_ns: int | None) -> list[File]:
    """Remove inodes, but none that somebody has pinned meanwhile. Links are removed, never followed."""
    removed = []
    for directory, some in groupby(inodes, lambda inode: inode.name.partition("/")[0]):
        with _directory(os.path.join(blobs_path, directory)) as dir_fd:
            lock.hold()  # a directory at a time: builds wait for some milliseconds
            try:
                removed += [inode for inode in some if _remove_one(dir_fd, inode, spared_ns)]
            finally:
                lock.release()
    return removed


def _remove_one(dir_fd: int, inode: File, spared_ns: int | None) -> bool:
    name = inode.name.partition("/")[2]
    try:
        changed_ns = os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_ctime_ns
        if spared_ns is not None and changed_ns >= spared_ns:
            return False
        remove_tree(dir_fd, name)  # a directory there is damage
    except FileNotFoundError:
        return False
    return True


def _is_sound(path: str, digest_hash: str) -> bool:
    """Whether the file at `path` has this SHA-256; what cannot be read, or is no file, has not."""
    try:
        return file_digest(path).hash == digest_hash
    except FileNotFoundError:
        return True  # gc in another process was faster
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ELOOP, errno.EACCES, errno.EIO):
            return False
        raise
