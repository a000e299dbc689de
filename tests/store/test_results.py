"""Results, tombstones, file states and memoised answers: what was put is found again, by this process and the next."""

import sqlite3
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bldr.api.sandbox import GUARANTEES, Isolation, Level, covers
from bldr.store.digest import Digest, bytes_digest
from bldr.store.errors import BlobMissing
from bldr.store.results import decode_isolation, encode_isolation
from bldr.store.store import Store
from bldr.system import os

STRONG: Isolation = {"network": Level.KERNEL, "env": Level.KERNEL}
MIDDLE: Isolation = {"network": Level.SUPERVISED, "env": Level.KERNEL}
OTHER: Isolation = {"memory": Level.KERNEL}
WEAK: Isolation = {"env": Level.KERNEL}
KEY = "0123456789abcdef" * 4

isolations = st.dictionaries(st.sampled_from(GUARANTEES[:3]), st.sampled_from(Level))


def database(store: Store) -> sqlite3.Connection:
    return sqlite3.connect(f"{store.root}/store-1.sqlite", isolation_level=None)


def age(store: Store, seconds: float) -> None:
    """Move every use into the past."""
    store.flush()
    connection = database(store)
    for table in ("results", "memo", "states"):
        connection.execute(f"UPDATE {table} SET used = used - ?", (int(seconds),))
    connection.close()


def used(store: Store, table: str) -> int:
    store.flush()
    connection = database(store)
    (value,) = connection.execute(f"SELECT max(used) FROM {table}").fetchone()
    connection.close()
    return int(value)


@pytest.fixture(params=["before it is written", "written", "in another process"])
def later(request: pytest.FixtureRequest, opened: Callable[[], Store]) -> Callable[[Store], Store]:
    """What a reader is: the writer before and after it flushed, or somebody else."""

    def reader(store: Store) -> Store:
        if request.param == "before it is written":
            return store
        store.flush()
        return store if request.param == "written" else opened()

    return reader


def test_a_result_is_found_again(store: Store, later: Callable[[Store], Store]) -> None:
    blob = store.blobs.put_bytes(b"output")
    store.results.put(KEY, STRONG, b"record", [blob])
    assert later(store).results.get(KEY) == [(STRONG, b"record")]
    assert later(store).results.get("f" * 64) == []


def test_a_weaker_result_never_replaces_a_stronger_one(store: Store, later: Callable[[Store], Store]) -> None:
    store.results.put(KEY, STRONG, b"strong")
    store = later(store)
    store.results.put(KEY, WEAK, b"weak")
    store.results.put(KEY, MIDDLE, b"middle")
    assert later(store).results.get(KEY) == [(STRONG, b"strong")]


def test_a_stronger_result_replaces_those_that_it_covers(store: Store, later: Callable[[Store], Store]) -> None:
    store.results.put(KEY, WEAK, b"weak")
    store.results.put(KEY, OTHER, b"other")
    store = later(store)
    store.results.put(KEY, STRONG, b"strong")
    assert later(store).results.get(KEY) == [(STRONG, b"strong"), (OTHER, b"other")]


def test_the_newest_of_equals_is_kept(store: Store, later: Callable[[Store], Store]) -> None:
    store.results.put(KEY, STRONG, b"old")
    store = later(store)
    store.results.put(KEY, {**STRONG, "memory": Level.NONE}, b"new")
    assert later(store).results.get(KEY) == [(STRONG, b"new")]


def test_a_weaker_result_replaces_a_stronger_one_that_has_lost_its_blobs(
    store: Store, later: Callable[[Store], Store]
) -> None:
    lost = store.blobs.put_bytes(b"lost")
    store.results.put(KEY, STRONG, b"strong", [lost])
    store = later(store)
    os.unlink(store.blobs.path(lost))
    store.results.put(KEY, WEAK, b"weak")
    assert later(store).results.get(KEY) == [(WEAK, b"weak")]


def test_a_result_without_its_blobs_is_refused(store: Store) -> None:
    with pytest.raises(BlobMissing):
        store.results.put(KEY, STRONG, b"record", [bytes_digest(b"never put")])
    assert store.results.get(KEY) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(isolations, st.binary(max_size=2)), max_size=6), st.sets(st.integers(0, 5)))
def test_what_is_kept_is_what_nothing_later_or_stronger_covers(
    puts: list[tuple[Isolation, bytes]], flushes: set[int]
) -> None:
    import tempfile

    from bldr.store.store import open_store

    expected: list[tuple[Isolation, bytes]] = []
    for isolation, record in puts:
        levels = {name: level for name, level in isolation.items() if level}
        if any(covers(other, levels) and other != levels for other, _ in expected):
            continue
        expected = [(other, kept) for other, kept in expected if not covers(levels, other)]
        expected.append((levels, record))
    with tempfile.TemporaryDirectory() as directory, open_store(directory) as store:
        for number, (isolation, record) in enumerate(puts):
            store.results.put(KEY, isolation, record)
            if number in flushes:
                store.flush()
        found = store.results.get(KEY)
        store.flush()
        assert found == store.results.get(KEY)
    assert len(found) == len(expected)
    assert all(item in expected for item in found)
    sums = [sum(isolation.values()) for isolation, _ in found]
    assert sums == sorted(sums, reverse=True)


@given(isolations)
def test_an_isolation_survives_its_encoding(isolation: Isolation) -> None:
    decoded = decode_isolation(encode_isolation(isolation))
    assert covers(decoded, isolation)
    assert covers(isolation, decoded)


@given(isolations, isolations, isolations)
def test_covering_is_a_partial_order(one: Isolation, two: Isolation, three: Isolation) -> None:
    assert covers(one, one)
    if covers(one, two) and covers(two, three):
        assert covers(one, three)
    if covers(one, two) and covers(two, one):
        assert encode_isolation(one) == encode_isolation(two)


@pytest.mark.parametrize("column", ["record", "blobs", "isolation", "key", "xxh3"])
def test_a_row_with_a_flipped_bit_is_a_miss(store: Store, column: str) -> None:
    store.results.put(KEY, STRONG, b"record", [store.blobs.put_bytes(b"output")])
    store.memo.put(KEY, b"answer")
    store.files.put_many({"/a/b": (b"signature", bytes_digest(b"c"))})
    store.flush()
    connection = database(store)
    changed = {"key": f"'{KEY[:-1]}0'", "isolation": "'network=2'"}.get(column, "randomblob(16)")
    connection.execute(f"UPDATE results SET {column}={changed}")
    if column in ("key", "xxh3"):
        connection.execute(f"UPDATE memo SET {column}={changed}")
    connection.execute("UPDATE states SET entries=replace(entries, 'signature', 'Signature')")
    connection.close()
    assert store.results.get(KEY) == []
    assert store.results.get(KEY[:-1] + "0") == []
    assert store.memo.get(KEY[:-1] + "0") is None
    assert store.files.get_many(["/a/b"]) == {}
    store.results.put(KEY, WEAK, b"again")
    store.flush()
    assert store.results.get(KEY) == [(WEAK, b"again")]


@pytest.mark.parametrize("value", ["NULL", "1", "1.5", "'text'", "x'ff'", "x''"])
def test_a_column_of_another_type_is_a_miss(store: Store, value: str) -> None:
    """SQLite keeps whatever type a damaged page claims."""
    store.results.put(KEY, STRONG, b"record")
    store.memo.put(KEY, b"answer")
    digest = store.blobs.put_bytes(b"content")
    store.files.put_many({"/a/b": (b"signature", digest)})
    store.flush()
    connection = database(store)
    connection.execute("PRAGMA ignore_check_constraints=ON")
    for table, columns in {"results": ("record", "xxh3", "blobs"), "memo": ("value", "xxh3"), "states": ("entries",),
                           "blobs": ("xxh3",)}.items():  # fmt: skip
        for column in columns:
            try:
                connection.execute(f"UPDATE {table} SET {column}={value}")
            except sqlite3.IntegrityError:
                connection.execute(f"UPDATE {table} SET {column}='x'")
    connection.close()
    assert store.results.get(KEY) == []
    assert store.memo.get(KEY) is None
    assert store.files.get_many(["/a/b"]) == {}
    store._inodes.forget()
    store._inodes._checksums.clear()
    assert store.blobs.read(digest) == b"content"


def test_a_use_is_noted_once_a_day(store: Store, opened: Callable[[], Store]) -> None:
    store.results.put(KEY, STRONG, b"record")
    store.memo.put(KEY, b"answer")
    store.files.put_many({"/a/b": (b"signature", bytes_digest(b"c"))})
    for days, renewed in ((0.5, False), (3, True)):
        age(store, days * 86400)
        before = {table: used(store, table) for table in ("results", "memo", "states")}
        other = opened()
        other.results.get(KEY)
        other.memo.get(KEY)
        other.files.get_many(["/a/b"])
        for table, value in before.items():
            assert (used(other, table) > value) == renewed, table
    assert abs(used(other, "results") - time.time()) < 3600


def test_states_are_found_by_path_and_the_newest_counts(store: Store, later: Callable[[Store], Store]) -> None:
    states = {
        path: (b"1", bytes_digest(path.encode()))
        for path in ("/a/b", "/a/c", "/a/b/c", "relative", "/top", "/ü/ß", "dir/file")
    }
    store.files.put_many(states)
    store = later(store)
    store.files.put_many({"/a/c": (b"2", bytes_digest(b"new")), "/a/d": (b"3", bytes_digest(b"more"))})
    states |= {"/a/c": (b"2", bytes_digest(b"new")), "/a/d": (b"3", bytes_digest(b"more"))}
    assert later(store).files.get_many([*states, "/a", "/a/e", "/nowhere/x"]) == states
    assert isinstance(later(store).files.get_many(["/a/c"])["/a/c"][1], Digest)


def test_two_processes_add_to_one_directory(store: Store, opened: Callable[[], Store]) -> None:
    other = opened()
    store.files.put_many({"/a/b": (b"1", bytes_digest(b"b"))})
    other.files.put_many({"/a/c": (b"2", bytes_digest(b"c"))})
    store.flush()
    other.flush()
    assert set(opened().files.get_many(["/a/b", "/a/c"])) == {"/a/b", "/a/c"}


def test_a_name_that_is_no_text_is_not_remembered_but_does_no_harm(store: Store) -> None:
    store.files.put_many({"/a/\udcff": (b"1", bytes_digest(b"b")), "/a/b": (b"1", bytes_digest(b"b"))})
    store.flush()
    assert set(store.files.get_many(["/a/\udcff", "/a/b", "/\udcff/c"])) == {"/a/b"}


def test_thousands_of_directories_are_asked_for_at_once(store: Store, opened: Callable[[], Store]) -> None:
    states = {f"/ws/{number}/file": (b"%d" % number, bytes_digest(b"%d" % number)) for number in range(1700)}
    store.files.put_many(states)
    store.flush()
    assert opened().files.get_many(states) == states


def test_an_answer_is_remembered(store: Store, later: Callable[[Store], Store]) -> None:
    store.memo.put("key", b"one")
    store = later(store)
    store.memo.put("key", b"")
    assert later(store).memo.get("key") == b""
    assert later(store).memo.get("other") is None
