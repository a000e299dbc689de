"""The SQLite database beside the blobs: shared by processes, replaced when damaged, written in batches."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from bldr.api.errors import CacheError
from bldr.store.errors import storage_error
from bldr.store.presence import DirectoryLock

T = TypeVar("T")
Warn = Callable[[str, str], None]
"""Takes a message and a hint."""

SCHEMA = 1
"""In the file's name, so that versions of bldr with different schemas share a cache directory without harm."""
_BUSY_S = 60.0
_ASKED_AT_ONCE = 500  # SQLite's bound on variables has been 999 in builds that are still around
_BATCH_ENTRIES = 1000
_BATCH_S = 0.25

# xxh3 of a record covers every column that is believed when it is read; `used` only ever decides what gc takes first
_TABLES = """
    CREATE TABLE IF NOT EXISTS blobs (hash BLOB PRIMARY KEY, size INTEGER NOT NULL, xxh3 BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS results (
        key TEXT NOT NULL, isolation TEXT NOT NULL, record BLOB NOT NULL, blobs BLOB NOT NULL, xxh3 BLOB NOT NULL,
        used INTEGER NOT NULL, PRIMARY KEY (key, isolation));
    CREATE TABLE IF NOT EXISTS tombstones (key TEXT PRIMARY KEY, evicted INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS states (
        directory BLOB PRIMARY KEY, entries BLOB NOT NULL, xxh3 BLOB NOT NULL, used INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS memo (
        key TEXT PRIMARY KEY, value BLOB NOT NULL, xxh3 BLOB NOT NULL, used INTEGER NOT NULL);
"""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA,
            sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_MISMATCH)  # fmt: skip
"""Primary result codes after which the file is not believed any more. SQLITE_ERROR: a table or column is not there."""

_HINTS = {
    sqlite3.SQLITE_FULL: "free some space, or run `bldr gc --max-size SIZE`",
    sqlite3.SQLITE_IOERR: "is the disk full or the file system gone? `df` and `dmesg` may tell",
    sqlite3.SQLITE_BUSY: "another bldr holds the database: wait for it, or name another directory with --cache-dir",
    sqlite3.SQLITE_READONLY: "name a directory that you may write to with --cache-dir",
    sqlite3.SQLITE_CANTOPEN: "name a directory that you may write to with --cache-dir",
}


class Writer(Protocol):
    """Something that collects entries in memory until the batch is written."""

    def write(self, connection: sqlite3.Connection) -> None:
        """Write what was collected; may be called again after a failure."""

    def written(self) -> None:
        """The transaction is committed: forget what was collected."""


class Database:
    """Owns the connection. Used by one thread.

    WAL with synchronous=NORMAL: a killed process loses nothing that was committed, a power failure may lose the last
    commits, neither leaves a torn database. A damaged file is set aside with a warning and an empty one takes its
    place: what it held is missing then, never wrong.
    """

    def __init__(self, root: str, warn: Warn, owner: tuple[int, int] | None) -> None:
        self.path = os.path.join(root, f"store-{SCHEMA}.sqlite")
        self._warn = warn
        self._owner = owner
        # Held while a connection comes into being or a damaged file is moved: no process may combine the old
        # database with the new write-ahead log.
        self._lock = DirectoryLock(os.path.join(root, "database.lock"), owner)
        self._inode = 0
        self._connection = self._open()

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Call `work`, once more with an empty database when the first turns out to be damaged. Raises CacheError."""
        try:
            return work(self._connection)
        except sqlite3.Error as error:
            if not _is_damage(error):
                raise self._error(error) from error
            self._replace(str(error))
        try:
            return work(self._connection)
        except sqlite3.Error as error:
            raise self._error(error) from error

    def transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`run` inside one write transaction, which is rolled back when `work` raises."""

        def inside(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN IMMEDIATE")
            try:
                value = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # a full disk has rolled back already
                    connection.execute("ROLLBACK")
                raise
            return value

        return self.run(inside)

    def close(self) -> None:
        self._connection.close()
        self._lock.close()

    def _open(self) -> sqlite3.Connection:
        self._lock.share()
        try:
            return self._connect()
        except sqlite3.Error as error:
            if not _is_damage(error):
                raise self._error(error) from error
            damage = str(error)
        finally:
            self._lock.release()
        self._set_aside(damage)
        self._lock.share()
        try:
            return self._connect()
        except sqlite3.Error as error:
            raise self._error(error) from error
        finally:
            self._lock.release()

    def _connect(self) -> sqlite3.Connection:
        """Connect and read once, so that the write-ahead log is open, too, before the lock is released."""
        connection = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None, cached_statements=64)
        # a damaged row must fail its checksum, not the conversion to text
        connection.text_factory = partial(str, encoding="utf-8", errors="replace")
        try:
            self._inode = os.stat(self.path).st_ino
            if self._owner:
                os.chown(self.path, *self._owner)
            os.chmod(self.path, 0o600)
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA wal_autocheckpoint=4000")
            connection.execute("PRAGMA journal_size_limit=67108864")
            connection.execute("PRAGMA cell_size_check=ON")
            connection.execute("PRAGMA temp_store=MEMORY")
            if connection.execute("PRAGMA user_version").fetchone()[0] != SCHEMA:
                connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version={SCHEMA}; COMMIT;")
            for table in ("blobs", "results", "tombstones", "states", "memo"):
                connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()  # noqa: S608 # fixed names
        except BaseException:
            connection.close()
            raise
        return connection

    def _replace(self, damage: str) -> None:
        self._connection.close()
        self._set_aside(damage)
        self._connection = self._open()

    def _set_aside(self, damage: str) -> None:
        """Move the damaged files out of the way, unless another process has just done it."""
        self._lock.hold()
        try:
            try:
                if os.stat(self.path).st_ino != self._inode:
                    return
            except FileNotFoundError:
                return
            aside = f"{self.path}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.rename(self.path + suffix, aside + suffix)
        except OSError as error:
            raise storage_error("replace the damaged database", self.path, error) from error
        finally:
            self._lock.release()
        self._warn(
            f"the cache database is damaged ({damage}): its results are lost and will be built again",
            f"nothing needs to be done; it was kept as {aside}",
        )

    def _error(self, error: sqlite3.Error) -> CacheError:
        hint = _HINTS.get(_primary_code(error), "")
        return CacheError(f"cannot use the cache database {self.path}: {error}", hint)


def ask_many(database: Database, query: str, values: Iterable[Any]) -> list[Any]:
    """The rows of a query that ends with `IN`, for any number of values, each asked for once."""
    wanted = list(dict.fromkeys(values))
    return database.run(lambda connection: select_many(connection, query, wanted)) if wanted else []


def select_many(connection: sqlite3.Connection, query: str, values: Iterable[Any]) -> list[Any]:
    """`ask_many` inside a transaction."""
    wanted = list(values)
    rows: list[Any] = []
    for at in range(0, len(wanted), _ASKED_AT_ONCE):
        some = wanted[at : at + _ASKED_AT_ONCE]
        rows += connection.execute(f"{query} ({','.join('?' * len(some))})", some).fetchall()
    return rows


class Batch:
    """Collects writes in memory and commits them in one transaction: when told to, or when many or old enough.

    `writers` come in the order in which they are written, blobs before results. What is not committed when a process
    is killed is missing later, and built again.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.writers: Sequence[Writer] = ()
        self._entries = 0
        self._oldest_s = 0.0

    def add(self, entries: int = 1) -> None:
        """A writer has collected something more."""
        now = time.monotonic()
        if not self._entries:
            self._oldest_s = now
        self._entries += entries
        if self._entries >= _BATCH_ENTRIES or now - self._oldest_s >= _BATCH_S:
            self.flush()

    def flush(self) -> None:
        """Commit everything. Raises CacheError, and keeps what could not be written."""
        if not self._entries:
            return
        self._database.transaction(self._write)
        for writer in self.writers:
            writer.written()
        self._entries = 0

    def _write(self, connection: sqlite3.Connection) -> None:
        for writer in self.writers:
            writer.write(connection)


def _primary_code(error: sqlite3.Error) -> int:
    """The low byte of SQLite's extended result code; 0 where the error is not SQLite's own."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _is_damage(error: sqlite3.Error) -> bool:
    return _primary_code(error) in _DAMAGED
