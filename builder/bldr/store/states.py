"""States of files: the digest that a file had when its stat had a certain signature."""

import sqlite3
import time
from collections.abc import Iterable, Mapping

import msgspec

from bldr.store.database import Batch, Database, ask_many
from bldr.store.digest import Digest, record_checksum
from bldr.store.results import DAY_S

FileState = tuple[bytes, Digest]
"""A signature, opaque to the store, and the digest of the content that goes with it."""

_Entries = dict[str, FileState]


class FileStates:
    """Owns the table `states`: one row per directory, since tens of thousands of rows take too long to ask for."""

    def __init__(self, database: Database, batch: Batch) -> None:
        self._database = database
        self._batch = batch
        self._pending: dict[bytes, _Entries] = {}
        self._touched: set[bytes] = set()
        self._decoder = msgspec.msgpack.Decoder(_Entries)
        self._encoder = msgspec.msgpack.Encoder()

    def get_many(self, paths: Iterable[str]) -> dict[str, FileState]:
        """The states that are known, by path."""
        wanted = _by_directory(paths)
        known = self._read(list(wanted))
        found: dict[str, FileState] = {}
        for directory, names in wanted.items():
            entries = known.get(directory, {})
            pending = self._pending.get(directory)
            if pending:
                entries = entries | pending
            for name, path in names:
                state = entries.get(name)
                if state is not None:
                    found[path] = state
        return found

    def put_many(self, states: Mapping[str, FileState]) -> None:
        """Remember states; they take the place of what was known of these paths."""
        for directory, names in _by_directory(states).items():
            entries = self._pending.setdefault(directory, {})
            for name, path in names:
                entries[name] = states[path]
        if states:
            self._batch.add(len(states))

    def write(self, connection: sqlite3.Connection) -> None:
        now = int(time.time())
        connection.executemany(
            "UPDATE states SET used=? WHERE directory=?", [(now, directory) for directory in self._touched]
        )
        for directory, entries in self._pending.items():
            # another process may have added to the row since we read it
            row = connection.execute("SELECT entries, xxh3 FROM states WHERE directory=?", (directory,)).fetchone()
            merged = self._decode(directory, *row) | entries if row else entries
            data = self._encoder.encode(merged)
            connection.execute(
                "INSERT OR REPLACE INTO states VALUES (?,?,?,?)",
                (directory, data, record_checksum(directory, data), now),
            )

    def written(self) -> None:
        self._pending.clear()
        self._touched.clear()

    def _read(self, directories: list[bytes]) -> dict[bytes, _Entries]:
        query = "SELECT directory, entries, xxh3, used FROM states WHERE directory IN"
        rows: list[tuple[bytes, bytes, bytes, int]] = ask_many(self._database, query, directories)
        before = int(time.time()) - DAY_S
        aged = [directory for directory, _, _, used in rows if used < before]
        if aged:
            self._touched.update(aged)
            self._batch.add(len(aged))
        return {directory: self._decode(directory, data, xxh3) for directory, data, xxh3, _ in rows}

    def _decode(self, directory: bytes, data: bytes, xxh3: bytes) -> _Entries:
        """The entries of a row; none where the row is damaged."""
        try:
            return self._decoder.decode(data) if record_checksum(directory, data) == xxh3 else {}
        except (TypeError, msgspec.DecodeError):
            return {}


def _by_directory(paths: Iterable[str]) -> dict[bytes, list[tuple[str, str]]]:
    """Directory -> pairs of name and path. Paths that are not UTF-8 are left out: they are read every time."""
    grouped: dict[str, list[tuple[str, str]]] = {}
    for path in paths:
        if not path.isascii() and not _is_utf8(path):
            continue
        directory, _, name = path.rpartition("/")
        names = grouped.get(directory)
        if names is None:
            grouped[directory] = [(name, path)]
        else:
            names.append((name, path))
    return {directory.encode(): names for directory, names in grouped.items()}


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
