"""A database that is damaged, busy or out of reach is a warning or an error that people understand, never a crash."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from bldr.api.errors import CacheError
from bldr.store import database as module
from bldr.store.database import Database
from bldr.store.store import Store, open_store
from bldr.system import os


def fill(store: Store) -> None:
    for number in range(300):
        blob = store.blobs.put_bytes(b"%d" % number)
        store.results.put(f"{number}", {}, b"record %d" % number * 20, [blob])
        store.memo.put(f"{number}", b"answer %d" % number * 20)
    store.flush()


def right_or_missing(store: Store) -> int:
    """How many of the results are still there; all of them are right."""
    found = 0
    for number in range(300):
        results = store.results.get(f"{number}")
        assert results in ([], [({}, b"record %d" % number * 20)])
        assert store.memo.get(f"{number}") in (None, b"answer %d" % number * 20)
        found += len(results)
    return found


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"not a database" * 1000,
        lambda data: data[: len(data) // 2],
        lambda data: data[:100] + os.urandom(len(data) - 100),
        lambda data: data[:4096] + os.urandom(len(data) - 4096),
        lambda data: b"\0" * len(data),
    ],
    ids=["empty", "text", "cut", "no schema", "no tables", "zeros"],
)
def test_a_damaged_database_is_set_aside_and_rebuilt(
    opened: Callable[[], Store], warnings: list[str], damage: Callable[[bytes], bytes]
) -> None:
    store = opened()
    fill(store)
    store.close()
    path = Path(store.root) / "store-1.sqlite"
    path.write_bytes(damage(path.read_bytes()))
    store = opened()
    assert right_or_missing(store) < 300
    fill(store)
    assert right_or_missing(store) == 300
    if path.read_bytes() and list(path.parent.glob("*.damaged-*")):
        assert len(warnings) == 1
        assert "the cache database is damaged" in warnings[0]
        assert "it was kept as" in warnings[0]
    else:
        assert damage(b"x" * 8192) == b""  # an empty file is an empty database: there is nothing to warn of
    store.close()
    assert right_or_missing(opened()) == 300


@pytest.mark.posix("new names for what another process has open")
def test_damage_that_shows_only_later_is_worked_around_by_all_processes(
    opened: Callable[[], Store], warnings: list[str]
) -> None:
    store, other = opened(), opened()
    fill(store)
    assert right_or_missing(other) == 300
    connection = sqlite3.connect(f"{store.root}/store-1.sqlite", isolation_level=None)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    path = Path(store.root) / "store-1.sqlite"
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    connection = sqlite3.connect(f"{store.root}/store-1.sqlite", isolation_level=None)
    connection.execute("PRAGMA user_version=1")  # makes the others drop the pages that they remember
    connection.close()
    for one in (store, other):
        right_or_missing(one)
        fill(one)
        assert right_or_missing(one) == 300
    assert 1 <= len(warnings) <= 2


def test_a_table_that_is_gone_is_damage(opened: Callable[[], Store], warnings: list[str]) -> None:
    store = opened()
    fill(store)
    connection = sqlite3.connect(f"{store.root}/store-1.sqlite", isolation_level=None)
    connection.execute("DROP TABLE memo")
    connection.close()
    assert store.memo.get("1") is None
    fill(store)
    assert right_or_missing(store) == 300
    assert len(warnings) == 1


def test_blobs_outlive_their_rows(opened: Callable[[], Store]) -> None:
    store = opened()
    digest = store.blobs.put_bytes(b"content")
    store.close()
    for name in os.listdir(store.root):
        if name.startswith("store-"):
            os.unlink(f"{store.root}/{name}")
    assert opened().blobs.read(digest) == b"content"


def test_without_a_listener_the_warning_goes_to_standard_error(
    cache_dir: str, capsys: pytest.CaptureFixture[str]
) -> None:
    open_store(cache_dir).close()
    Path(cache_dir, "v1", "store-1.sqlite").write_bytes(b"not a database" * 1000)
    open_store(cache_dir).close()
    assert capsys.readouterr().err.startswith("warning: the cache database is damaged (file is not a database)")


def test_a_database_that_somebody_holds_is_an_error_with_a_remedy(
    opened: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BUSY_S", 0.05)
    store = opened()
    holder = sqlite3.connect(f"{store.root}/store-1.sqlite", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    store.memo.put("key", b"value")
    with pytest.raises(CacheError, match="locked") as caught:
        store.flush()
    assert "another bldr" in caught.value.hint
    holder.execute("ROLLBACK")
    holder.close()
    store.flush()
    assert opened().memo.get("key") == b"value"


@pytest.mark.parametrize(
    "blocked",
    ["cache", "cache/v1", "cache/v1/blobs", "cache/v1/staging", "cache/v1/store-1.sqlite", "cache/v1/blobs.lock",
     "cache/v1/database.lock"],
)  # fmt: skip
def test_something_else_in_the_way_is_an_error_that_names_it(tmp_path: Path, blocked: str) -> None:
    path = tmp_path / blocked
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name in ("cache", "v1", "blobs", "staging"):
        path.write_bytes(b"a file")
    else:
        path.mkdir()
    with pytest.raises(CacheError, match=path.name):
        open_store(str(tmp_path / "cache"))


@pytest.mark.posix("modes of directories")
def test_the_store_is_closed_to_others(cache_dir: str) -> None:
    before = os.umask(0)
    try:
        store = open_store(cache_dir)
        modes = {path: os.stat(path).st_mode & 0o777 for path in (cache_dir, store.root, store.staging)}
        database = os.stat(f"{store.root}/store-1.sqlite").st_mode & 0o777
        store.close()
    finally:
        os.umask(before)
    assert list(modes.values()) == [0o700, 0o711, 0o711]
    assert database == 0o600


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = Database(str(tmp_path), lambda message, hint: None, None)

    def fails(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO memo VALUES ('key', x'', x'', 0)")
        raise KeyError

    with pytest.raises(KeyError):
        database.transaction(fails)
    assert database.run(lambda connection: connection.execute("SELECT count(*) FROM memo").fetchone()) == (0,)
    database.close()
