"""Answers that took long to find and can be found again: toolchain detections, depfile reads, durations."""

import sqlite3
import time
from collections.abc import Sequence

from bldr.store.database import Batch, Database, ask_many
from bldr.store.digest import record_checksum
from bldr.store.results import DAY_S

_ROWS = "SELECT key, value, xxh3, used FROM memo WHERE key IN"


class Memo:
    """Owns the table `memo`. A value that is lost or damaged is None, and found again."""

    def __init__(self, database: Database, batch: Batch) -> None:
        self._database = database
        self._batch = batch
        self._pending: dict[str, bytes] = {}
        self._touched: set[str] = set()

    def get(self, key: str) -> bytes | None:
        """The value, or None."""
        return self.get_many([key]).get(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The values that are known, by key."""
        found = {key: self._pending[key] for key in keys if key in self._pending}
        asked = [key for key in keys if key not in found]
        used_before = time.time() - DAY_S
        for key, value, check, used in ask_many(self._database, _ROWS, asked):
            if not isinstance(value, bytes) or record_checksum(key.encode(), value) != check:
                continue
            found[key] = value
            if used < used_before:
                self._touched.add(key)
                self._batch.add()
        return found

    def holds(self, prefix: str) -> bool:
        """Whether there is any value whose key begins so; prefixes end with a slash."""
        if any(key.startswith(prefix) for key in self._pending):
            return True
        query = "SELECT 1 FROM memo WHERE key >= ? AND key < ? LIMIT 1"
        end = prefix[:-1] + chr(ord("/") + 1)
        return self._database.run(lambda connection: connection.execute(query, (prefix, end)).fetchone()) is not None

    def put(self, key: str, value: bytes) -> None:
        """Remember a value; it takes the place of what was there."""
        self._pending[key] = value
        self._batch.add()

    def write(self, connection: sqlite3.Connection) -> None:
        now = int(time.time())
        connection.executemany("UPDATE memo SET used=? WHERE key=?", [(now, key) for key in self._touched])
        connection.executemany(
            "INSERT OR REPLACE INTO memo VALUES (?,?,?,?)",
            [(key, value, record_checksum(key.encode(), value), now) for key, value in self._pending.items()],
        )

    def written(self) -> None:
        self._pending.clear()
        self._touched.clear()
