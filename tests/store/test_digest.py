"""Digests of bytes, files and trees. The golden messages were made by Google's protobuf from the API's definition."""

import hashlib
from pathlib import Path

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from bldr.store.digest import (
    CHUNK_BYTES,
    Digest,
    bytes_digest,
    checksum,
    descriptor_checksum,
    descriptor_digest,
    file_digest,
    record_checksum,
    tree_digest,
)
from bldr.system import os

MAIN = bytes_digest(b"int main(void) { return 0; }\n")
RUN = bytes_digest(b"#!/bin/sh\n" * 30)
EMPTY = bytes_digest(b"")


@pytest.mark.parametrize("path", ["file", "a/file", "a/b/c/file", "\u00e4/" + "long" * 50, "/".join(["d" * 200] * 3)])
@pytest.mark.parametrize("executable", [False, True])
@pytest.mark.parametrize("size_bytes", [0, 1, 127, 128, 1 << 40])
def test_a_tree_of_one_file_is_as_any_other(path, executable, size_bytes):
    digest = Digest("ab" * 32, size_bytes)
    parent = path.rpartition("/")[0]
    assert tree_digest([(path, digest, executable)]) == tree_digest([(path, digest, executable)], (), [parent])


def test_a_directory_has_the_digest_of_its_protobuf_message() -> None:
    files = [("main.c", MAIN, False), ("run.sh", RUN, True), ("über.txt", EMPTY, False)]
    assert tree_digest(files, [("latest", "main.c")]) == Digest(
        "6c66c234a5da04d4a0255270eb8b4f783762c057348a72f460b180e4f748330c", 262
    )


def test_a_tree_is_digested_from_its_leaves() -> None:
    files = [
        ("a.txt", bytes_digest(b"a"), False),
        ("a/run.sh", RUN, True),
        ("a/main.c", MAIN, False),
        ("a/über.txt", EMPTY, False),
        ("a-b/" + "n" * 200, bytes_digest(b"x" * (1 << 20)), False),
    ]
    symlinks = [("z", "../out/" + "t" * 130), ("a/latest", "main.c")]
    assert tree_digest(files, symlinks, ["empty"]) == Digest(
        "519356c639d87befd514e7567db2db0b67f2aeeed5e639d7580972629d61a3e9", 456
    )
    assert tree_digest(reversed(files), reversed(symlinks), ["empty", "a", "a-b"]) == tree_digest(
        files, symlinks, ["empty"]
    )


def test_the_empty_tree_is_the_empty_message() -> None:
    assert tree_digest([]) == EMPTY


def test_a_tree_may_be_deeper_than_the_stack() -> None:
    deep = "/".join("d" * 5000)
    assert tree_digest([(f"{deep}/file", MAIN, False)]) != tree_digest([(f"{deep}/file", MAIN, True)])


@pytest.mark.parametrize(
    ("files", "symlinks", "directories"),
    [
        ([("a", MAIN, False), ("a", RUN, False)], [], []),
        ([("a", MAIN, False)], [("a", "b")], []),
        ([("a", MAIN, False), ("a/b", MAIN, False)], [], []),
        ([("a/b", MAIN, False), ("a", MAIN, False)], [], []),
        ([("a", MAIN, False)], [], ["a"]),
        ([("\udcff", MAIN, False)], [], []),
    ],
)
def test_what_cannot_be_a_tree_is_refused(
    files: list[tuple[str, Digest, bool]], symlinks: list[tuple[str, str]], directories: list[str]
) -> None:
    with pytest.raises(ValueError):
        tree_digest(files, symlinks, directories)


_names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=4)
_trees = st.dictionaries(
    st.lists(_names, min_size=1, max_size=3).map("/".join), st.tuples(st.binary(max_size=3), st.booleans()), max_size=6
).filter(lambda tree: not any(one != other and other.startswith(one + "/") for one in tree for other in tree))


@given(_trees, _trees)
def test_only_equal_trees_have_equal_digests(
    one: dict[str, tuple[bytes, bool]], other: dict[str, tuple[bytes, bool]]
) -> None:
    digests = [
        tree_digest([(path, bytes_digest(data), executable) for path, (data, executable) in tree.items()])
        for tree in (one, other)
    ]
    assert (digests[0] == digests[1]) == (one == other)


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7])
def test_a_file_of_any_size_has_the_hashes_of_its_bytes(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(data)
    expected = Digest(hashlib.sha256(data).hexdigest(), size)
    assert file_digest(str(path)) == expected == bytes_digest(data)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert descriptor_digest(descriptor) == (expected, xxhash.xxh3_128_digest(data))
        os.lseek(descriptor, 0, os.SEEK_SET)
        assert descriptor_checksum(descriptor) == (size, checksum(data))
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("data", [b"one", b"onetwo", b"x" * (CHUNK_BYTES // 2)])
@pytest.mark.posix("named pipes")
def test_what_arrives_in_pieces_is_hashed_whole(data: bytes) -> None:
    for hashing in (descriptor_digest, descriptor_checksum):
        reading, writing = os.pipe()
        if os.fork() == 0:
            for at in range(0, len(data), 100_000):
                os.write(writing, data[at : at + 100_000])
            os._exit(0)
        os.close(writing)
        found = hashing(reading)
        os.close(reading)
        os.wait()
        assert found in ((bytes_digest(data), checksum(data)), (len(data), checksum(data)))


def test_borders_between_parts_count() -> None:
    assert record_checksum(b"ab", b"c") != record_checksum(b"a", b"bc")


@pytest.mark.posix("named pipes")
def test_links_and_fifos_have_no_digest(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo"):
        with pytest.raises(OSError):
            file_digest(str(tmp_path / name))
