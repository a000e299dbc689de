"""Sources: what was hashed is kept, and a state is believed only where no later change can have it."""

import os
import time
from types import SimpleNamespace

import pytest

from bldr.execute.sources import SourceError, Sources, signature
from bldr.store.digest import Digest, bytes_digest
from bldr.store.store import open_store

AGO = (1_000_000_000 * 10**9,) * 2
BIG = b"x" * (1 << 20)


@pytest.fixture
def store(tmp_path):
    with open_store(str(tmp_path / "cache")) as store:
        yield store


@pytest.fixture
def checkout(tmp_path):
    """Files of every size that is treated in another way; they changed a while ago."""
    top = tmp_path / "ws"
    top.mkdir()
    for name, data in {"empty": b"", "small": b"small\n", "big": BIG, "program": b"#!/bin/sh\n"}.items():
        (top / name).write_bytes(data)
    (top / "program").chmod(0o755)
    (top / "link").symlink_to("small")
    time.sleep(0.1)
    return top


@pytest.fixture
def read(store, checkout):
    """Sources as one more build of the checkout sees them."""

    def another(*names):
        sources = Sources(SimpleNamespace(host_path=lambda path: f"{checkout}/{path}"), store)
        sources.read(names)
        return sources

    return another


def test_every_kind_of_file_is_read_and_kept(read, store):
    sources = read("empty", "small", "big", "program", "link")
    for name, data in {"empty": b"", "small": b"small\n", "big": BIG, "link": b"small\n"}.items():
        entry = sources.entry(name)
        assert (entry.path, entry.hash, entry.size_bytes) == (name, *bytes_digest(data))
        assert store.blobs.read(Digest(entry.hash, entry.size_bytes)) == data
        assert not entry.executable
    assert sources.entry("program").executable


def test_until_it_is_wanted_a_file_is_only_looked_at(read, store, checkout):
    sources = read()
    sources.prepare(["small", "big"])
    assert [sources.size_bytes(name) for name in ("small", "big", "program")] == [6, len(BIG), 10]
    assert not sources.is_source("small")
    assert store.files.get_many([f"{checkout}/small", f"{checkout}/big"]) == {}
    with pytest.raises(SourceError, match="absent"):
        sources.prepare(["small", "absent"])
    assert sources.entry("small").hash == bytes_digest(b"small\n").hash


def test_after_one_that_cannot_be_read_the_others_still_can(read, checkout):
    (checkout / "odd").mkdir()
    sources = read()
    with pytest.raises(Exception, match="odd"):
        sources.read(["small", "odd", "program"])
    assert [sources.entry(name).hash for name in ("small", "program")] == [
        bytes_digest(data).hash for data in (b"small\n", b"#!/bin/sh\n")
    ]


def test_a_file_that_did_not_change_is_not_read_again(read, store, checkout):
    first = read("small", "big")
    known = store.files.get_many([f"{checkout}/small", f"{checkout}/big"])
    assert {path: state[1] for path, state in known.items()} == {
        f"{checkout}/small": bytes_digest(b"small\n"),
        f"{checkout}/big": bytes_digest(BIG),
    }
    planted = Digest("ab" * 32, 6)
    store.files.put_many({f"{checkout}/small": (known[f"{checkout}/small"][0], planted)})
    assert read("small").entry("small").hash == planted.hash != first.entry("small").hash


def test_a_file_that_changed_is_read_again(read, checkout):
    read("small")
    (checkout / "small").write_bytes(b"other\n")  # as long as before
    os.utime(checkout / "small", ns=AGO)
    assert read("small").entry("small").hash == bytes_digest(b"other\n").hash


def test_the_state_of_a_file_that_has_just_changed_is_not_kept(read, store, checkout):
    (checkout / "small").write_bytes(b"newer\n")
    os.utime(checkout / "small", ns=AGO)  # the change time gives it away
    read("small")
    assert store.files.get_many([f"{checkout}/small"]) == {}


def test_a_state_that_is_kept_is_that_of_what_was_read(read, store, checkout):
    read("program")
    state, digest = store.files.get_many([f"{checkout}/program"])[f"{checkout}/program"]
    assert state == signature(os.stat(checkout / "program"))
    assert digest == bytes_digest(b"#!/bin/sh\n")


@pytest.mark.parametrize("kind", ["absent", "fifo", "directory", "dangling"])
def test_what_is_no_file_is_an_error_and_nothing_hangs(read, checkout, kind):
    place = checkout / "odd"
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "directory":
        place.mkdir()
    elif kind == "dangling":
        place.symlink_to("nowhere")
    with pytest.raises(Exception, match="odd") as raised:
        read("small", "odd")
    assert raised.type.__name__ in ("SourceError", "CacheError")


def test_what_the_store_lost_is_brought_again_unless_it_changed(read, store, checkout):
    sources = read("small")
    blob = store.blobs.path(bytes_digest(b"small\n"))
    os.unlink(blob)
    sources.restore("small")
    assert store.blobs.read(bytes_digest(b"small\n")) == b"small\n"
    (checkout / "small").write_bytes(b"other\n")
    with pytest.raises(SourceError, match="changed while it was being built"):
        sources.restore("small")
