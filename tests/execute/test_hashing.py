"""Hashing by threads: what is heard of is the same as without them, and what cannot be hashed is left to others."""

import hashlib
import os
import select

import pytest

from bldr.execute import hashing
from bldr.execute.hashing import Hashing, large_files
from bldr.store.blobs import file_state
from bldr.store.digest import Digest
from bldr.store.store import open_store


@pytest.fixture
def threads():
    threads = Hashing()
    yield threads
    threads.close()


def wait(threads, paths):
    heard = []
    threads.start(paths, heard.append)
    while not heard:
        assert select.select([threads], [], [], 60)[0]
        threads.finish()
    return heard[0]


def test_files_are_known_by_their_state(threads, tmp_path):
    for name, data in (("a", b"a" * 3_000_000), ("b", b"")):
        (tmp_path / name).write_bytes(data)
    hashed = wait(threads, [str(tmp_path / "a"), str(tmp_path / "b")])
    state = file_state(os.stat(tmp_path / "a"))
    assert hashed[state][0] == Digest(hashlib.sha256(b"a" * 3_000_000).hexdigest(), 3_000_000)
    assert len(hashed) == 2


def test_what_cannot_be_hashed_is_left_out(threads, tmp_path):
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("x")
    hashed = wait(threads, [str(tmp_path / name) for name in ("link", "pipe", "gone", "file")])
    assert list(hashed) == [file_state(os.stat(tmp_path / "file"))]


def test_many_at_a_time(threads, tmp_path):
    heard = []
    for number in range(20):
        (tmp_path / str(number)).write_text(str(number))
        threads.start([str(tmp_path / str(number))], heard.append)
    while len(heard) < 20:
        assert select.select([threads], [], [], 60)[0]
        threads.finish()
    assert len({state for hashed in heard for state in hashed}) == 20


def test_what_is_taken_is_believed_only_in_the_state_that_was_hashed(threads, tmp_path):
    path = tmp_path / "out"
    path.write_bytes(b"first")
    hashed = wait(threads, [str(path)])
    with open_store(str(tmp_path / "cache")) as store:
        path.write_bytes(b"second")
        digest = store.blobs.take_file(str(path), hashed=hashed)
        assert digest == Digest(hashlib.sha256(b"second").hexdigest(), 6)
        path.write_bytes(b"third")
        digest = store.blobs.take_file(str(path), hashed=wait(threads, [str(path)]))
        assert store.blobs.read(digest) == b"third"


def test_what_is_stopped_is_told_as_not_known(threads, tmp_path):
    """The file is larger than can be hashed while anybody waits."""
    heard = []
    with open(tmp_path / "endless", "wb") as file:
        file.truncate(1 << 43)
    (tmp_path / "file").write_text("x")
    threads.start([str(tmp_path / name) for name in ("file", "endless", "file")], heard.append)
    threads.stop()
    threads.start([str(tmp_path / "file")], heard.append)
    while len(heard) < 2:
        assert select.select([threads], [], [], 60)[0]
        threads.finish()
    assert heard == [None, None]


def test_large_files_are_found_without_following_links(monkeypatch, tmp_path):
    monkeypatch.setattr(hashing, "LARGE_BYTES", 10)
    (tmp_path / "out/deep").mkdir(parents=True)
    (tmp_path / "away").mkdir()
    for name in ("out/deep/large", "away/large"):
        (tmp_path / name).write_bytes(bytes(10))
    (tmp_path / "out/small").write_bytes(bytes(9))
    (tmp_path / "out/link").symlink_to("deep/large")
    (tmp_path / "out/elsewhere").symlink_to("../away")
    for top, found in (
        ("out", ["out/deep/large"]),
        ("out/deep/large", ["out/deep/large"]),
        ("out/link", []),
        ("out/elsewhere", []),
        ("out/elsewhere/large", []),
    ):
        assert large_files(str(tmp_path), top) == [str(tmp_path / path) for path in found]
    for top in (str(tmp_path / "linked"), str(tmp_path / "out/link")):
        if not os.path.lexists(top):
            os.symlink(tmp_path / "away", top)
        assert large_files(top, "large") == [], "the tree itself was replaced by a link"
