"""Results of actions by key and isolation: a weaker one never takes the place of a stronger one."""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from bldr.api.sandbox import Isolation, Level, covers
from bldr.store.blobs import Blobs
from bldr.store.database import Batch, Database, ask_many, select_many
from bldr.store.digest import Digest, record_checksum
from bldr.store.errors import BlobMissing

DAY_S = 86400
_HASH_BYTES = 32
_NONE_TAKEN_S = 1.0
"""For so long nobody asks again whether there is any tombstone: a clean build would ask for every action."""
_ROWS = "SELECT key, isolation, record, blobs, xxh3, used FROM results WHERE key IN"


class _Row(NamedTuple):
    isolation: str
    record: bytes
    blobs: bytes
    xxh3: bytes
    used: int


class Results:
    """Owns the tables `results` and `tombstones`.

    A result names the blobs that make it whole. They are in the store before the result is, and gc takes none of them
    while it keeps the result; whoever finds one missing all the same (BlobMissing) builds again and puts it anew.
    """

    def __init__(self, database: Database, batch: Batch, blobs: Blobs) -> None:
        self._database = database
        self._batch = batch
        self._blobs = blobs
        self._pending: dict[str, dict[str, _Row]] = {}
        self._touched: dict[tuple[str, str], int] = {}
        self._levels: dict[str, Isolation] = {}
        self._none_taken_s = -_NONE_TAKEN_S  # when garbage collection was last known to have taken none at all
        self._encoded: dict[tuple[tuple[str, int], ...], str] = {}

    def get(self, key: str) -> list[tuple[Isolation, bytes]]:
        """All results of a key, the strongest first. A record whose checksum is wrong is left out."""
        return self.get_many([key])[key]

    def get_many(self, keys: Iterable[str]) -> dict[str, list[tuple[Isolation, bytes]]]:
        """`get` for many keys at once. The isolations are shared, and not to be changed."""
        found: dict[str, list[_Row]] = {key: [] for key in keys}
        for key, row in _sound(ask_many(self._database, _ROWS, found)):
            found[key].append(row)
        used_before = int(time.time()) - DAY_S
        answer = {}
        for key, rows in found.items():
            if key in self._pending or len(rows) > 1:
                rows = self._current(key, rows)
            for row in rows:
                if row.used < used_before:
                    self._touched[key, row.isolation] = used_before + DAY_S
                    self._batch.add()
            answer[key] = [(self._levels_of(row.isolation), row.record) for row in rows]
        return answer

    def put(self, key: str, isolation: Isolation, record: bytes, blobs: Sequence[Digest] = ()) -> None:
        """Keep a result; it takes the place of those that it covers, and is dropped where a whole one covers it.

        Raises BlobMissing where one of `blobs` is not in the store: such a result could never be served.
        """
        for blob in blobs:
            if not self._blobs.has(blob):
                raise BlobMissing(blob.hash)
        encoded = self._encode(isolation)
        hashes = b"".join(bytes.fromhex(blob.hash) for blob in blobs)
        self._levels_of(encoded)
        row = _Row(encoded, record, hashes, _checksum(key, encoded, record, hashes), int(time.time()))
        self._pending[key] = self._merged(self._pending.get(key, {}), row)
        self._batch.add()

    def tombstone(self, key: str) -> float | None:
        """When gc took the results of this key (seconds since the epoch), or None."""
        return self.tombstones([key]).get(key)

    def tombstones(self, keys: Iterable[str]) -> dict[str, float]:
        """`tombstone` for many keys at once; those that have none are left out."""
        if time.monotonic() - self._none_taken_s < _NONE_TAKEN_S:
            return {}
        one = "SELECT 1 FROM tombstones LIMIT 1"
        if self._database.run(lambda connection: connection.execute(one).fetchone()) is None:
            self._none_taken_s = time.monotonic()
            return {}
        rows = ask_many(self._database, "SELECT key, evicted FROM tombstones WHERE key IN", keys)
        return {key: float(evicted) for key, evicted in rows}

    def forget(self) -> None:
        """Ask again whether anything was taken: it is about to be."""
        self._none_taken_s = -_NONE_TAKEN_S

    def write(self, connection: sqlite3.Connection) -> None:
        connection.executemany(
            "UPDATE results SET used=? WHERE key=? AND isolation=?",
            [(used, key, isolation) for (key, isolation), used in self._touched.items()],
        )
        present: dict[str, dict[str, _Row]] = {}
        for key, row in _sound(select_many(connection, _ROWS, self._pending)):
            present.setdefault(key, {})[row.isolation] = row
        new: list[tuple[Any, ...]] = []
        covered: list[tuple[str, str]] = []
        for key, rows in self._pending.items():
            before = wanted = present.get(key, {})
            for row in rows.values():
                wanted = self._merged(wanted, row)
            covered += [(key, isolation) for isolation in before.keys() - wanted.keys()]
            new += [(key, *row) for row in wanted.values() if before.get(row.isolation) is not row]
        connection.executemany("DELETE FROM results WHERE key=? AND isolation=?", covered)
        connection.executemany("INSERT OR REPLACE INTO results VALUES (?,?,?,?,?,?)", new)
        connection.executemany("DELETE FROM tombstones WHERE key=?", [(key,) for key in self._pending])

    def written(self) -> None:
        self._pending.clear()
        self._touched.clear()

    def _current(self, key: str, stored: Iterable[_Row]) -> list[_Row]:
        """What a reader sees once the pending entries are written, the strongest first."""
        rows = {row.isolation: row for row in stored}
        for row in self._pending.get(key, {}).values():
            rows = self._merged(rows, row)
        strength = {text: sum(self._levels_of(text).values()) for text in rows}
        return sorted(rows.values(), key=lambda row: (-strength[row.isolation], row.isolation))

    def _merged(self, rows: dict[str, _Row], new: _Row) -> dict[str, _Row]:
        """The rows of a key after another one came."""
        levels = self._levels_of(new.isolation)
        kept = {}
        for text, row in rows.items():
            theirs = self._levels_of(text)
            if covers(levels, theirs):
                continue
            if covers(theirs, levels) and self._is_whole(row):
                return rows
            if not covers(theirs, levels):
                kept[text] = row
        kept[new.isolation] = new
        return kept

    def _is_whole(self, row: _Row) -> bool:
        return all(self._blobs.exists(digest_hash) for digest_hash in split_hashes(row.blobs))

    def _encode(self, isolation: Isolation) -> str:
        """`encode_isolation`; most results of a build have the same."""
        items = tuple(isolation.items())
        text = self._encoded.get(items)
        if text is None:
            text = self._encoded[items] = encode_isolation(isolation)
        return text

    def _levels_of(self, text: str) -> Isolation:
        levels = self._levels.get(text)
        if levels is None:
            levels = self._levels[text] = decode_isolation(text)
        return levels


def split_hashes(blobs: bytes) -> tuple[str, ...]:
    """The hashes that the column `blobs` holds."""
    return tuple(blobs[at : at + _HASH_BYTES].hex() for at in range(0, len(blobs), _HASH_BYTES))


def encode_isolation(isolation: Isolation) -> str:
    """One text for one isolation: names in order, what is not reached left out."""
    return " ".join(f"{name}={int(level)}" for name, level in sorted(isolation.items()) if level)


def decode_isolation(text: str) -> Isolation:
    return {name: Level(int(level)) for name, level in (item.split("=") for item in text.split())}


def _checksum(key: str, isolation: str, record: bytes, blobs: bytes) -> bytes:
    return record_checksum(key.encode(), isolation.encode(), record, blobs)


def _sound(found: Iterable[Sequence[Any]]) -> Iterator[tuple[str, _Row]]:
    """Keys and rows, those whose checksum is wrong left out."""
    for key, *columns in found:
        row = _Row(*columns)
        if _is_sound(key, row):
            yield key, row


def _is_sound(key: str, row: _Row) -> bool:
    try:
        return _checksum(key, row.isolation, row.record, row.blobs) == row.xxh3
    except (TypeError, AttributeError, UnicodeEncodeError):  # damage has changed a column's type
        return False
