"""Several processes at once, really at once: what one relies on is never taken or spoiled by another."""

import contextlib
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bldr.api.sandbox import Level
from bldr.store.digest import bytes_digest
from bldr.store.store import open_store
from bldr.system import os

pytestmark = pytest.mark.posix("processes that are forked")

CONTENTS = [b"%d " % number * (number * 50) for number in range(40)]


def spawn(function: Callable[..., None], *arguments: object) -> int:
    """A process that ends with 0, or with 1 where it failed."""
    process = os.fork()
    if process:
        return process
    try:
        function(*arguments)
        os._exit(0)
    except BaseException as error:
        if sys.__stderr__:
            sys.__stderr__.write(f"{error!r}\n")
        os._exit(1)


def ended(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def build(cache_dir: str, seed: int, turns: int) -> None:
    """Put, link and read the same contents as everybody else; whatever was put once must stay to the end."""
    chance = random.Random(seed)
    with open_store(cache_dir) as store:
        relied_on = set()
        for turn in range(turns):
            some = chance.sample(CONTENTS, 4)
            output = f"{store.staging}/output"
            Path(output).write_bytes(some[0])
            assert store.blobs.take_file(output) == bytes_digest(some[0])
            for content in some[1:]:
                store.blobs.put_bytes(content)
            relied_on.update(some)
            store.results.put(f"{turn % 20}", {"env": Level.KERNEL}, b"".join(some), list(map(bytes_digest, some)))
            link = f"{store.staging}/link"
            store.blobs.link(bytes_digest(some[1]), bool(turn % 2), link)
            assert Path(link).read_bytes() == some[1]
            os.unlink(link)
            if turn % 10 == 9:
                store.flush()
            for content in relied_on:
                assert store.blobs.read(bytes_digest(content)) == content
        for content in relied_on:
            assert Path(store.blobs.path(bytes_digest(content))).read_bytes() == content


def collect(cache_dir: str, stop: str, seed: int) -> None:
    chance = random.Random(seed)
    while not os.path.exists(stop):
        with open_store(cache_dir) as store:
            store.gc(max_size_bytes=chance.choice([0, 10_000, 100_000]))
            store.verify()


@pytest.mark.parametrize("turns", [30, pytest.param(500, marks=pytest.mark.full)])
def test_builds_and_collections_at_once(tmp_path: Path, turns: int) -> None:
    cache_dir, stop = str(tmp_path / "cache"), tmp_path / "stop"
    collectors = [spawn(collect, cache_dir, str(stop), seed) for seed in range(2)]
    try:
        builders = [spawn(build, cache_dir, seed, turns) for seed in range(3)]
        assert [ended(process) for process in builders] == [0, 0, 0]
    finally:
        stop.touch()
        assert [ended(process) for process in collectors] == [0, 0]
    with open_store(cache_dir) as store:
        for turn in range(20):
            for _, record in store.results.get(f"{turn}"):
                # a result may have gone with its blobs, but what is there is right
                for content in CONTENTS:
                    if store.blobs.has(bytes_digest(content)):
                        assert store.blobs.read(bytes_digest(content)) == content
                assert record
        assert store.verify().damaged == ()


def test_many_processes_make_one_store(tmp_path: Path) -> None:
    """They all find nothing there and all make the directories, the locks and the database."""
    cache_dir, start = str(tmp_path / "deep" / "cache"), tmp_path / "start"

    def race() -> None:
        while not start.exists():
            time.sleep(0.001)
        build(cache_dir, 1, 3)

    processes = [spawn(race) for _ in range(8)]
    start.touch()
    assert [ended(process) for process in processes] == [0] * 8
    with open_store(cache_dir) as store:
        assert all(store.results.get(f"{turn}") for turn in range(3))


def test_a_blob_is_linked_while_another_process_puts_it_again(tmp_path: Path) -> None:
    """Every process that did not find it puts it, and renames over what the others have put."""
    cache_dir, stop = str(tmp_path / "cache"), tmp_path / "stop"
    with open_store(cache_dir) as store:
        digest = store.blobs.put_bytes(b"the same")

        def replace() -> None:
            with open_store(cache_dir) as other:
                while not stop.exists():
                    for name in range(100):
                        other.blobs.copy(digest, False, f"{other.staging}/{name}")
                        os.rename(f"{other.staging}/{name}", store.blobs.path(digest))

        process = spawn(replace)
        try:
            for turn in range(5000):
                store.blobs.link(digest, False, f"{store.staging}/{turn}")
        finally:
            stop.touch()
            assert ended(process) == 0


def test_a_blob_is_put_while_another_process_puts_its_directory_in_place(tmp_path: Path) -> None:
    """An empty directory may be renamed over an empty one, which somebody else has just made for their own blob."""
    cache_dir, stop = str(tmp_path / "cache"), tmp_path / "stop"
    with open_store(cache_dir) as store:
        path = Path(store.blobs.path(store.blobs.put_bytes(b"one")))

        def replace() -> None:
            new = tmp_path / "new"
            while not stop.exists():
                for _ in range(100):
                    new.mkdir(exist_ok=True)
                    with contextlib.suppress(OSError):
                        os.rename(new, path.parent)
                    time.sleep(0.0002)

        process = spawn(replace)
        try:
            for _ in range(600):
                path.unlink()
                with contextlib.suppress(OSError):
                    path.parent.rmdir()
                store.blobs.put_bytes(b"one")
        finally:
            stop.touch()
            assert ended(process) == 0


def test_many_processes_find_the_database_damaged(tmp_path: Path) -> None:
    cache_dir, start = str(tmp_path / "cache"), tmp_path / "start"
    build(cache_dir, 1, 3)
    Path(cache_dir, "v1", "store-1.sqlite").write_bytes(b"not a database" * 1000)

    def race() -> None:
        while not start.exists():
            time.sleep(0.001)
        with open_store(cache_dir, lambda message, hint: None) as store:
            store.memo.put(f"{os.getpid()}", b"answer")

    processes = [spawn(race) for _ in range(8)]
    start.touch()
    assert [ended(process) for process in processes] == [0] * 8
    with open_store(cache_dir) as store:
        assert [store.memo.get(f"{process}") for process in processes] == [b"answer"] * 8
    assert len([name for name in os.listdir(f"{cache_dir}/v1") if name.count("damaged") and "-wal" not in name]) == 1
