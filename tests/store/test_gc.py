"""What gc takes, what it leaves, and how it stays out of the way of builds."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bldr.api.sandbox import Level
from bldr.store.digest import Digest, bytes_digest
from bldr.store.errors import BlobMissing
from bldr.store.gc import File, Stored, plan
from bldr.store.presence import Presence
from bldr.store.store import Store
from bldr.system import os

DAY_NS = 86400 * 10**9


def fill(store: Store, key: str, *contents: bytes) -> list[Digest]:
    digests = [store.blobs.put_bytes(content) for content in contents]
    store.results.put(key, {"env": Level.KERNEL}, b"record", digests)
    store.flush()
    return digests


def tick() -> None:
    """Let the file system's clock move: what changed in this very tick counts as changed meanwhile."""
    time.sleep(0.03)


def test_everything_goes_when_nothing_may_stay(store: Store) -> None:
    digests = fill(store, "one", b"1" * 100) + fill(store, "two", b"2" * 50)
    executable = store.blobs.path(digests[0], executable=True)
    source = store.blobs.put_bytes(b"source")
    tick()
    before = time.time()
    report = store.gc(max_size_bytes=0)
    assert (report.results, report.blobs, report.freed_bytes) == (2, 3, 256)
    assert (report.kept_results, report.kept_blobs, report.kept_bytes) == (0, 0, 0)
    assert not os.path.exists(executable)
    assert store.results.get("one") == []
    assert not any(store.blobs.has(digest) for digest in [*digests, source])
    with pytest.raises(BlobMissing):
        store.blobs.read(digests[0])
    evicted = store.results.tombstone("one")
    assert evicted is not None
    assert abs(evicted - before) < 60
    assert store.results.tombstone("never there") is None


def test_a_new_result_ends_the_tombstone(store: Store) -> None:
    fill(store, "one", b"1")
    tick()
    store.gc(max_size_bytes=0)
    fill(store, "one", b"1")
    assert store.results.tombstone("one") is None
    assert store.results.get("one") == [({"env": Level.KERNEL}, b"record")]


def test_without_limits_nothing_goes(store: Store) -> None:
    digests = fill(store, "one", b"1" * 100)
    source = store.blobs.put_bytes(b"source")
    tick()
    report = store.gc()
    assert (report.results, report.blobs, report.kept_blobs, report.kept_bytes) == (0, 0, 2, 106)
    assert store.blobs.read(digests[0]) == b"1" * 100
    assert store.blobs.read(source) == b"source"


def test_what_was_not_used_for_long_goes(store: Store, age: Callable[[str, float], None]) -> None:
    old, shared, new = fill(store, "old", b"old", b"shared")[0], *fill(store, "new", b"shared", b"new")
    store.memo.put("old", b"answer")
    store.files.put_many({"/old/file": (b"1", old)})
    store.flush()
    age("results WHERE key='old'", 10 * 86400)
    age("memo", 10 * 86400)
    age("states", 10 * 86400)
    store.memo.put("new", b"answer")
    tick()
    report = store.gc(max_age_s=5 * 86400)
    assert (report.results, report.blobs) == (1, 1)
    assert store.results.get("old") == []
    assert [store.blobs.has(digest) for digest in (old, shared, new)] == [False, True, True]
    assert store.results.tombstone("old") is not None
    assert (store.memo.get("old"), store.memo.get("new")) == (None, b"answer")
    assert store.files.get_many(["/old/file"]) == {}


def test_what_was_used_least_recently_goes_first(store: Store, age: Callable[[str, float], None]) -> None:
    for number in range(5):
        fill(store, f"{number}", b"%d" % number * 1000)
        age(f"results WHERE key='{number}'", 86400 * (5 - number))
    tick()
    store.gc(max_size_bytes=3500)
    assert [bool(store.results.get(f"{number}")) for number in range(5)] == [False, False, True, True, True]


def test_a_use_saves_a_result(store: Store, opened: Callable[[], Store], age: Callable[[str, float], None]) -> None:
    fill(store, "used", b"used")
    fill(store, "unused", b"unused")
    age("results", 10 * 86400)
    reader = opened()
    assert reader.results.get("used")
    reader.close()
    tick()
    store.gc(max_age_s=5 * 86400)
    assert store.results.get("used")
    assert not store.results.get("unused")


@pytest.fixture
def age(store: Store) -> Callable[[str, float], None]:
    import sqlite3

    def older(rows: str, seconds: float) -> None:
        table, _, condition = rows.partition(" ")
        connection = sqlite3.connect(f"{store.root}/store-1.sqlite", isolation_level=None)
        connection.execute(f"UPDATE {table} SET used = used - {int(seconds)} {condition}")
        connection.close()

    return older


def test_what_a_living_process_relies_on_stays(store: Store, opened: Callable[[], Store], tmp_path: Path) -> None:
    names = ("put", "put again", "linked", "asked for", "read as a path")
    contents = {name: name.encode() for name in (*names, "unused")}
    digests = {name: bytes_digest(content) for name, content in contents.items()}
    for name, content in contents.items():
        if name != "put":
            store.blobs.put_bytes(content)
    store.close()
    tick()
    building, collecting = opened(), opened()
    building.blobs.put_bytes(contents["put"])
    building.blobs.put_bytes(contents["put again"])
    building.blobs.link(digests["linked"], False, str(tmp_path / "linked"))
    assert building.blobs.has(digests["asked for"])
    building.blobs.path(digests["read as a path"])
    tick()
    report = collecting.gc(max_size_bytes=0)
    assert report.blobs == 1
    assert [building.blobs.has(digests[name]) for name in names] == [True] * 5
    building.results.put("key", {}, b"record", [digests[name] for name in names])
    building.flush()
    for name in names:
        assert opened().blobs.read(digests[name]) == contents[name]
    building.close()
    tick()
    assert collecting.gc(max_size_bytes=0).blobs == 5


def test_a_result_that_another_process_is_about_to_put_is_whole(store: Store, opened: Callable[[], Store]) -> None:
    fill(store, "old", b"content")
    store.close()
    tick()
    building, collecting = opened(), opened()
    digest = building.blobs.put_bytes(b"content")
    building.results.put("new", {}, b"record", [digest])
    tick()
    assert collecting.gc(max_size_bytes=0).results == 1
    building.close()
    reader = opened()
    assert reader.results.get("new")
    assert reader.blobs.read(digest) == b"content"


def test_strangers_files_among_the_blobs_stay(store: Store, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / ("a" * 62)).write_bytes(b"kept")
    fill(store, "one", b"1")
    (Path(store.root) / "blobs" / "notes.txt").write_bytes(b"kept")
    (Path(store.root) / "blobs" / "aa").mkdir(exist_ok=True)
    (Path(store.root) / "blobs" / "aa" / "README").write_bytes(b"kept")
    (Path(store.root) / "blobs" / "ab").symlink_to(victim)
    tick()
    store.gc(max_size_bytes=0)
    store.verify()
    assert (Path(store.root) / "blobs" / "notes.txt").exists()
    assert (Path(store.root) / "blobs" / "aa" / "README").exists()
    assert (victim / ("a" * 62)).read_bytes() == b"kept"


def test_verify_removes_what_is_damaged_and_only_that(store: Store) -> None:
    good, bad = store.blobs.put_bytes(b"good"), store.blobs.put_bytes(b"bad")
    path = store.blobs.path(bad)
    status = os.stat(path)
    os.chmod(path, 0o644)
    Path(path).write_bytes(b"BAD")
    os.chmod(path, 0o444)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    report = store.verify()
    assert (report.blobs, report.size_bytes, report.damaged) == (2, 7, (bad.hash,))
    assert store.verify().damaged == ()
    assert store.blobs.read(good) == b"good"
    assert not store.blobs.has(bad)


# -- the plan, without a disk

hashes = st.sampled_from(["a", "b", "c", "d"])
stored = st.builds(
    Stored,
    st.uuids().map(str),
    st.just(""),
    st.lists(hashes, max_size=3).map(tuple),
    st.integers(0, 5),
    st.integers(0, 9),
)
present = st.dictionaries(hashes, st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=4).map(
    lambda files: {name: [File(name, size, used * 10**9)] for name, (size, used) in files.items()}
)


@given(st.lists(stored, max_size=6), present, st.none() | st.integers(0, 40), st.none() | st.integers(0, 10))
def test_what_a_plan_keeps_is_whole_young_and_fits(
    results: list[Stored], files: dict[str, list[File]], max_size: int | None, oldest: int | None
) -> None:
    doomed = plan(results, files, max_size, oldest)
    kept = [result for result in results if result not in doomed.results]
    kept_hashes = files.keys() - doomed.hashes
    for result in kept:
        assert kept_hashes >= set(result.hashes)
        assert oldest is None or result.used_s >= oldest
    size = sum(result.size_bytes for result in kept) + sum(files[name][0].size_bytes for name in kept_hashes)
    assert max_size is None or size <= max_size
    whole = [result for result in doomed.results if files.keys() >= set(result.hashes)]
    if max_size is None and oldest is None:
        assert whole == []
        assert doomed.hashes <= {name for result in doomed.results for name in result.hashes}
    assert all(one.used_s >= other.used_s for one in kept for other in whole)


# -- presence


def test_leftovers_of_a_killed_process_go_and_those_of_the_living_stay(
    opened: Callable[[], Store], cache_dir: str
) -> None:
    script = (
        "import os, sys, time\n"
        "from bldr.store.store import open_store\n"
        "store = open_store(sys.argv[1])\n"
        "os.makedirs(store.staging + '/action/upper/closed')\n"
        "open(store.staging + '/action/upper/closed/file', 'w').close()\n"
        "os.chmod(store.staging + '/action/upper/closed', 0)\n"
        "print(store.staging, flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, cache_dir], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    staging = process.stdout.readline().strip()
    store = opened()
    assert store.gc().leftovers == 0
    assert os.path.isdir(staging)
    process.kill()
    process.wait()
    process.stdout.close()
    assert store.gc().leftovers == 1
    assert os.listdir(os.path.dirname(staging)) != []
    assert os.path.basename(staging) not in " ".join(os.listdir(os.path.dirname(staging)))
    assert os.path.isdir(store.staging)


def test_opening_removes_leftovers_also_of_a_process_that_died_between_two_steps(
    store: Store, opened: Callable[[], Store]
) -> None:
    parent = Path(store.staging).parent
    (parent / "directory-without-lock").mkdir()
    (parent / "directory-without-lock" / "file").write_bytes(b"")
    (parent / "lock-without-directory.lock").write_bytes(b"")
    (parent / "both.lock").write_bytes(b"")
    (parent / "both").mkdir()
    other = opened()
    names = {Path(one.staging).name for one in (store, other)}
    assert set(os.listdir(parent)) == names | {f"{name}.lock" for name in names}


def test_closing_leaves_nothing_in_staging(store: Store) -> None:
    os.mkdir(f"{store.staging}/action")
    parent = os.path.dirname(store.staging)
    store.close()
    store.close()
    assert os.listdir(parent) == []


def test_links_in_staging_are_removed_and_not_followed(
    store: Store, opened: Callable[[], Store], tmp_path: Path
) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").write_bytes(b"kept")
    parent = Path(store.staging).parent
    (parent / "x.lock").symlink_to(tmp_path / "victim" / "file")
    (parent / "x").symlink_to(tmp_path / "victim")
    (parent / "y").symlink_to(tmp_path / "victim")
    (parent / "z.lock").mkdir()
    opened()
    assert not any(name[0] in "xyz" for name in os.listdir(parent))
    assert (tmp_path / "victim" / "file").read_bytes() == b"kept"


def test_the_oldest_living_process_counts(tmp_path: Path) -> None:
    first = Presence(str(tmp_path), None)
    tick()
    second = Presence(str(tmp_path), None)
    third = Presence(str(tmp_path), None)
    assert first.start_ns < second.start_ns <= first.now_ns()
    assert third.sweep() == (0, first.start_ns)
    first.close()
    assert third.sweep() == (0, second.start_ns)
    second.close()
    assert third.sweep() == (0, None)
    third.close()
    assert os.listdir(tmp_path) == []
