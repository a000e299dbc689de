"""Many blobs and results at once: as one by one, only cheaper."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bldr.api.errors import CacheError
from bldr.api.sandbox import Level
from bldr.plan.entries import Entry
from bldr.store.digest import Digest, bytes_digest
from bldr.store.errors import BlobMissing
from bldr.store.inodes import MODIFIED_NS
from bldr.store.store import Store, open_store
from bldr.system import os

CONTENTS = [b"", *(b"%d\n" % number for number in range(700))]  # more than are asked for at once


def place(store: Store, digest: Digest) -> Path:
    return Path(store.root, "blobs", digest.hash[:2], digest.hash[2:])


def remove(path: Path) -> None:
    path.chmod(0o600)  # on Windows nothing is removed that may not be written to
    path.unlink()


def put(store: Store) -> list[Digest]:
    digests = [store.blobs.put_bytes(data) for data in CONTENTS]
    store.flush()
    return digests


def test_what_is_lost_is_named_and_the_rest_is_not(store: Store, opened: Callable[[], Store]) -> None:
    digests = put(store)
    remove(place(store, digests[3]))
    absent = bytes_digest(b"never put")
    larger = Digest(digests[5].hash, 1000)
    assert opened().blobs.lost([*digests, absent]) == {digests[3], absent}
    assert opened().blobs.lost([larger]) == {larger}


@pytest.mark.parametrize(
    "kind",
    [pytest.param("link", marks=pytest.mark.posix("links that anybody makes")), "directory", "truncated", "other mode"],
)
def test_what_is_no_blob_any_more_is_lost_or_mended(
    store: Store, opened: Callable[[], Store], tmp_path: Path, kind: str
) -> None:
    digest = store.blobs.put_bytes(b"content")
    path, victim = place(store, digest), tmp_path / "victim"
    victim.write_bytes(b"content")
    victim.chmod(0o600)
    mode = victim.stat().st_mode
    if kind == "other mode":
        path.chmod(0o600)
        assert opened().blobs.lost([digest]) == set()
        assert path.stat().st_mode & 0o777 == 0o444
        return
    if kind == "truncated":
        path.chmod(0o644)
        path.write_bytes(b"con")
    else:
        remove(path)
        path.symlink_to(victim) if kind == "link" else path.mkdir()
    assert opened().blobs.lost([digest]) == {digest}
    assert victim.stat().st_mode == mode


def test_what_is_not_lost_stays_while_the_process_lives(store: Store, opened: Callable[[], Store]) -> None:
    digests = put(store)
    time.sleep(0.03)  # the file system's clock moves
    user = opened()
    assert user.blobs.lost(digests[:300]) == set()
    assert store.gc(max_size_bytes=0).blobs == len(digests) - 300
    assert list(user.blobs.read_many(digests[:300])) == CONTENTS[:300]


def test_contents_come_in_order_also_before_their_checksums_are_written(store: Store) -> None:
    digests = [store.blobs.put_bytes(data) for data in CONTENTS]
    assert list(store.blobs.read_many(digests[::-1])) == CONTENTS[::-1]


def test_damage_is_missing(store: Store, opened: Callable[[], Store]) -> None:
    digests = put(store)
    path = place(store, digests[2])
    times = path.stat()
    path.chmod(0o644)
    path.write_bytes(b"?\n")
    path.chmod(0o444)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    reading = opened().blobs.read_many(digests)
    assert [next(reading), next(reading)] == CONTENTS[:2]
    with pytest.raises(BlobMissing):
        next(reading)


def linked(store: Store, entries: list[Entry], directory: Path) -> list[int | None]:
    directory.mkdir(exist_ok=True)
    descriptor = os.open(str(directory), os.O_RDONLY | os.O_DIRECTORY)
    try:
        return store.blobs.link_all(entries, descriptor)
    finally:
        os.close(descriptor)


def entries_of(digests: list[Digest]) -> list[Entry]:
    """Every third of them executable."""
    return [
        Entry(f"name {number}", digest.hash, digest.size_bytes, number % 3 == 0)
        for number, digest in enumerate(digests)
    ]


@pytest.mark.usefixtures("link_loop")
@pytest.mark.posix("modes of files")
def test_many_links_are_those_of_each(store: Store, opened: Callable[[], Store], tmp_path: Path) -> None:
    entries = entries_of(put(store))
    for turn, one in enumerate((store, opened(), store)):  # the second has verified nothing yet
        numbers = linked(one, entries, tmp_path / str(turn))
        for content, entry, number in zip(CONTENTS, entries, numbers, strict=True):
            status = (tmp_path / str(turn) / entry.path).stat()
            assert status.st_ino == number == one.blobs.inode(Digest(entry.hash, entry.size_bytes), entry.executable)
            assert status.st_mode & 0o777 == (0o555 if entry.executable else 0o444)
            assert (tmp_path / str(turn) / entry.path).read_bytes() == content
    assert linked(store, [], tmp_path / "empty") == []


@pytest.mark.usefixtures("link_loop")
@pytest.mark.posix("modes of files")
def test_what_is_known_is_linked_by_the_loop_alone(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = entries_of(put(store))
    linked(store, entries, tmp_path / "before")
    monkeypatch.delattr(type(store.blobs), "link")
    assert None not in linked(store, entries, tmp_path / "after")


@pytest.mark.usefixtures("link_loop")
@pytest.mark.posix("modes of files")
@pytest.mark.parametrize("executable", [False, True])
def test_nothing_is_linked_that_was_not_verified_since_it_was_damaged(
    store: Store, opened: Callable[[], Store], tmp_path: Path, executable: bool
) -> None:
    digest = store.blobs.put_bytes(b"content")
    path = Path(store.blobs.path(digest, executable))
    entry = Entry("name", digest.hash, digest.size_bytes, executable)
    user = opened()
    linked(user, [entry], tmp_path / "before")

    def damage() -> None:
        path.unlink(missing_ok=True)
        path.write_bytes(b"CONTENT")
        path.chmod(0o555 if executable else 0o444)
        os.utime(path, ns=(MODIFIED_NS, MODIFIED_NS))

    damage()
    for number, one in enumerate((opened(), opened())):  # to neither of which it was ever sound
        if executable:  # made again of what is beside it
            linked(one, [entry], tmp_path / str(number))
            assert (tmp_path / str(number) / "name").read_bytes() == b"content"
        else:
            with pytest.raises(BlobMissing):
                linked(one, [entry], tmp_path / str(number))
        damage()
    path.chmod(0o600)
    with pytest.raises(BlobMissing):
        user.blobs._inodes.number(digest, executable)
    damage()
    with pytest.raises(BlobMissing):
        user.blobs._inodes.number(digest, executable)


@pytest.mark.usefixtures("link_loop")
@pytest.mark.posix("modes of files")
@pytest.mark.parametrize("damage", ["gone", "other content", "other size"])
def test_of_many_links_the_first_that_is_missing_is_told(store: Store, tmp_path: Path, damage: str) -> None:
    digests = put(store)
    entries = [Entry(f"name {number}", digest.hash, digest.size_bytes) for number, digest in enumerate(digests)]
    for number in (150, 400):
        path = place(store, digests[number])
        path.chmod(0o600)
        path.write_bytes(b"?" * (digests[number].size_bytes + (damage == "other size")))
        if damage == "gone":
            path.unlink()
    with pytest.raises(BlobMissing) as caught:
        linked(store, entries, tmp_path / "links")
    assert caught.value.digest_hash == digests[150].hash
    assert len(list((tmp_path / "links").iterdir())) == 150


@pytest.mark.usefixtures("link_loop")
@pytest.mark.posix("modes of files")
def test_of_many_links_one_that_was_touched_is_looked_at_again(store: Store, tmp_path: Path) -> None:
    digests = put(store)
    entries = [Entry(f"name {number}", digest.hash, digest.size_bytes) for number, digest in enumerate(digests)]
    os.utime(str(place(store, digests[70])), ns=(0, 0))
    place(store, digests[71]).chmod(0o600)
    numbers = linked(store, entries, tmp_path / "links")
    assert numbers == [store.blobs.inode(digest, False) for digest in digests]
    assert {path.stat().st_mtime_ns for path in (tmp_path / "links").iterdir()} == {MODIFIED_NS}
    assert (tmp_path / "links" / "name 71").stat().st_mode & 0o777 == 0o444


@pytest.mark.usefixtures("link_loop")
@pytest.mark.posix("links, and names that are no text")
def test_many_links_may_have_any_name_that_is_free(store: Store, tmp_path: Path) -> None:
    digests = put(store)[:130]
    names = [f"{number} {os.fsdecode(bytes([128 + number % 100]))}" for number in range(130)]
    entries = [Entry(name, digest.hash, digest.size_bytes) for name, digest in zip(names, digests, strict=True)]
    assert None not in linked(store, entries, tmp_path / "links")
    assert sorted(os.listdir(tmp_path / "links")) == sorted(names)
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / names[99]).write_bytes(b"mine")
    with pytest.raises(CacheError, match="file exists"):
        linked(store, entries, tmp_path / "others")
    assert (tmp_path / "others" / names[99]).read_bytes() == b"mine"
    with pytest.raises(CacheError, match="no such file"):
        linked(store, [Entry("no/directory", digests[0].hash, digests[0].size_bytes)], tmp_path / "others")


@pytest.mark.usefixtures("link_loop")
@pytest.mark.posix("modes of files")
def test_where_none_of_many_can_be_linked_all_are_copies(store: Store) -> None:
    if not Path("/dev/shm").is_dir() or os.stat("/dev/shm").st_dev == os.stat(store.root).st_dev:
        pytest.skip("there is one file system only")
    entries = entries_of(put(store))
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        assert linked(store, entries, Path(elsewhere)) == [None] * len(entries)
        for content, entry in zip(CONTENTS, entries, strict=True):
            assert Path(elsewhere, entry.path).read_bytes() == content
            assert Path(elsewhere, entry.path).stat().st_mode & 0o777 == (0o555 if entry.executable else 0o444)


def test_results_of_many_keys_are_those_of_each(store: Store, opened: Callable[[], Store]) -> None:
    weak, strong = {"env": Level.KERNEL}, {"env": Level.KERNEL, "pids": Level.KERNEL}
    other = {"network": Level.KERNEL}
    keys = [f"{number:064x}" for number in range(1200)]
    for number, key in enumerate(keys[:1100]):
        store.results.put(key, weak if number % 2 else strong, b"%d" % number)
        if number % 3 == 0:
            store.results.put(key, other, b"other %d" % number)
    store.flush()
    store.results.put(keys[1], strong, b"newer")  # takes the place of a weaker one, and is not written yet
    for one in (store, opened()):
        found = one.results.get_many([*keys, keys[5], keys[5]])
        assert list(found) == keys
        assert found == {key: one.results.get(key) for key in keys}
    assert store.results.get_many(keys[1:2]) == {keys[1]: [(strong, b"newer")]}
    assert opened().results.get_many(keys[1:2]) == {keys[1]: [(weak, b"1")]}
    assert found[keys[0]] == [(strong, b"0"), (other, b"other 0")]
    assert found[keys[1150]] == []


def test_a_directory_that_was_there_is_not_called_a_cache(tmp_path):
    """It may hold more: whoever makes backups would leave all of it out."""
    for name, is_tagged in (("old", False), ("new", True)):
        directory = tmp_path / name
        if not is_tagged:
            directory.mkdir()
        with open_store(str(directory)):
            assert (directory / "CACHEDIR.TAG").exists() == is_tagged
