"""A process that is killed at any instant leaves a store without a wrong result and without a committed one missing."""

import hashlib
import itertools
import os
import random
import select
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bldr.api.sandbox import Level
from bldr.store.digest import bytes_digest
from bldr.store.errors import BlobMissing
from bldr.store.store import Store, open_store

KEYS = 60
BLOBS = 3


def content(key: str, generation: str, number: int) -> bytes:
    """What a blob of a result must hold: told by the result's record, of any size, some larger than one write."""
    seed = hashlib.sha256(f"{key} {generation} {number}".encode()).digest()
    return seed * (1 + seed[0] * (1000 if seed[1] < 5 else 1))


def put_result(store: Store, key: str, generation: str) -> None:
    digests = []
    for number in range(BLOBS):
        data = content(key, generation, number)
        if number == 0:
            digests.append(store.blobs.put_bytes(data))
            continue
        path = f"{store.staging}/output"
        Path(path).write_bytes(data)
        put = store.blobs.take_file if number == 1 else store.blobs.put_file
        digests.append(put(path))
        if number == 2:
            os.unlink(path)
    store.results.put(key, {"env": Level.KERNEL}, generation.encode(), digests)
    store.memo.put(key, generation.encode())


def check(store: Store) -> dict[str, str]:
    """Read everything; returns key -> generation of the results that are there, all of which are whole and right."""
    found = {}
    for key in map(str, range(KEYS)):
        for _, record in store.results.get(key):
            generation = record.decode()
            for number in range(BLOBS):
                expected = content(key, generation, number)
                assert store.blobs.read(bytes_digest(expected)) == expected
                path = store.blobs.path(bytes_digest(expected), executable=number == 0)
                assert Path(path).read_bytes() == expected
            found[key] = generation
    return found


def work(cache_dir: str, report: int, seed: int, collecting: bool) -> None:
    """Put results until killed; tells on `report` what is committed."""
    random.seed(seed)
    with open_store(cache_dir) as store:
        for turn in itertools.count():
            key, generation = str(random.randrange(KEYS)), f"{seed}.{turn}"
            put_result(store, key, generation)
            if turn % 5 == 4:
                store.flush()
                os.write(report, f"{turn} ".encode())
            if collecting and turn % 7 == 6:
                store.gc(max_size_bytes=random.randrange(2_000_000))


def spawn(function: Callable[..., None], *arguments: object) -> int:
    """A process that ends by a signal, or with 0, or with 1 where it failed."""
    process = os.fork()
    if process:
        return process
    try:
        function(*arguments)
        os._exit(0)
    except BaseException as error:
        sys.__stderr__.write(f"{error!r}\n") if sys.__stderr__ else None
        os._exit(1)


def kill(process: int) -> int:
    """Kill a process; returns how it ended: the signal, or its exit code."""
    os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def committed(seed: int, turns: int) -> dict[str, str]:
    """What a process must have left that reported so many turns."""
    random.seed(seed)
    return {str(random.randrange(KEYS)): f"{seed}.{turn}" for turn in range(turns + 1)}


def drain(reading: int) -> list[int]:
    return [int(turn) for turn in os.read(reading, 1 << 20).decode().split()[-1:]]


def rounds(cache_dir: str, number: int, collecting: bool) -> None:
    warned: list[str] = []
    progress = 0
    for seed in range(number):
        reading, writing = os.pipe()
        processes = [spawn(work, cache_dir, writing, seed, collecting)]
        if seed % 4 == 3:  # a second one, which does not stop the first from being killed anywhere
            processes.append(spawn(work, cache_dir, os.open(os.devnull, os.O_WRONLY), -seed, collecting))
        os.close(writing)
        chance = random.Random(seed)
        if seed % 2:  # half of the kills while it opens the store, half while it puts
            select.select([reading], [], [], 60)
        time.sleep(chance.random() * 0.03)
        assert [kill(process) for process in processes] == [-signal.SIGKILL] * len(processes)
        turns = drain(reading)
        os.close(reading)
        with open_store(cache_dir, lambda message, hint: warned.append(message)) as store:
            found = check(store)
            progress += bool(turns)
            if turns and not collecting and len(processes) == 1:
                # a later turn may have been committed, too, by a batch that filled up
                generations = {key: found.get(key, "").split(".") for key in committed(seed, turns[0])}
                for key, generation in committed(seed, turns[0]).items():
                    assert generations[key][0] == str(seed)
                    assert int(generations[key][1]) >= int(generation.split(".")[1])
            parent = Path(store.staging).parent
            assert len(os.listdir(parent)) == 2, "leftovers of killed processes"
    assert warned == []
    assert progress > number // 4
    connection = sqlite3.connect(f"{cache_dir}/v1/store-1.sqlite")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_a_writer_killed_at_some_instants(tmp_path: Path) -> None:
    rounds(str(tmp_path / "cache"), 24, collecting=False)


def test_a_collector_killed_at_some_instants(tmp_path: Path) -> None:
    rounds(str(tmp_path / "cache"), 16, collecting=True)


@pytest.mark.full
@pytest.mark.parametrize("collecting", [False, True])
def test_killed_at_hundreds_of_instants(tmp_path: Path, collecting: bool) -> None:
    rounds(str(tmp_path / "cache"), 200, collecting)


STEPS = ("open", "write", "close", "rename", "unlink", "mkdir", "rmdir", "fchmod", "chmod", "utime", "stat", "fstat")


def die_at(step: int) -> None:
    """Kill this process before its call number `step` of what changes or looks at a file."""
    calls = itertools.count()

    def counted(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **names: object) -> object:
            if next(calls) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **names)

        return call

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))


def scripted(cache_dir: str, step: int) -> None:
    """Everything that changes the store, once."""
    die_at(step)
    with open_store(cache_dir) as store:
        put_result(store, "0", "new")
        store.flush()
        store.blobs.path(bytes_digest(content("0", "new", 0)), executable=True)
        damaged = store.blobs.path(bytes_digest(content("1", "old", 0)))
        os.chmod(damaged, 0o644)
        Path(damaged).write_bytes(b"damage")
        with pytest.raises(BlobMissing):
            store.blobs.read(bytes_digest(content("1", "old", 0)))
        put_result(store, "1", "old")
        store.flush()
        store.gc(max_size_bytes=0)


def mend(store: Store, key: str, generation: str) -> None:
    """What a build does: take the result that is there, or make it again when it, or a blob of it, is missing."""
    try:
        check(store)
    except BlobMissing:
        assert key == "1", "only the blob that was damaged by hand may be missing"
    put_result(store, key, generation)


@pytest.mark.parametrize("stride", [11, pytest.param(1, marks=pytest.mark.full)])
def test_a_process_killed_between_any_two_steps(tmp_path: Path, stride: int) -> None:
    for step in range(0, 10_000, stride):
        cache_dir = str(tmp_path / f"cache{step}")
        with open_store(cache_dir) as store:
            put_result(store, "1", "old")
        ended = os.waitstatus_to_exitcode(os.waitpid(spawn(scripted, cache_dir, step), 0)[1])
        assert ended in (-signal.SIGKILL, 0)
        with open_store(cache_dir) as store:
            mend(store, "1", "old")
            mend(store, "0", "new")
            assert check(store) == {"0": "new", "1": "old"}
            assert len(os.listdir(Path(store.staging).parent)) == 2
        if ended == 0:
            assert step > 100
            return
    pytest.fail("the script never came to its end")
