"""Many blobs and results at once: as one by one, only cheaper."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bldr.api.sandbox import Level
from bldr.store.digest import Digest, bytes_digest
from bldr.store.errors import BlobMissing
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
