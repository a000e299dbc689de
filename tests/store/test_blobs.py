"""Blobs: what goes in comes out, or is reported as missing; never anything else."""

import errno
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bldr.api.errors import CacheError
from bldr.store.digest import CHUNK_BYTES, Digest, bytes_digest
from bldr.store.errors import BlobMissing
from bldr.store.inodes import MODIFIED_NS
from bldr.store.store import Store, open_store
from bldr.system import os

BIG = os.urandom(2 * CHUNK_BYTES + 12345)


def plain(store: Store, digest: Digest) -> str:
    return f"{store.root}/blobs/{digest.hash[:2]}/{digest.hash[2:]}"


def overwrite(path: str, data: bytes) -> None:
    """What a process of the same user can do to a blob, covering all tracks but one."""
    mode = stat.S_IMODE(os.stat(path).st_mode)
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.write(data)
    os.chmod(path, mode)


def staged(store: Store) -> list[str]:
    return os.listdir(store.staging)


@pytest.mark.parametrize("data", [b"", b"hello", b"x" * CHUNK_BYTES, BIG])
def test_every_way_in_gives_the_same_blob(
    store: Store, opened: Callable[[], Store], tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "source").write_bytes(data)
    (tmp_path / "output").write_bytes(data)
    expected = bytes_digest(data)
    assert store.blobs.put_file(str(tmp_path / "source")) == expected
    assert store.blobs.put_bytes(data) == expected
    assert store.blobs.take_file(str(tmp_path / "output")) == expected
    assert not (tmp_path / "output").exists()
    assert (tmp_path / "source").read_bytes() == data
    for one in (store, opened()):
        assert one.blobs.has(expected)
        assert one.blobs.read(expected) == data
        assert Path(one.blobs.path(expected)).read_bytes() == data
    assert staged(store) == []


@pytest.mark.posix("modes of files")
def test_a_blob_and_its_executable_are_two_inodes_with_fixed_modes_and_times(store: Store) -> None:
    digest = store.blobs.put_bytes(b"#!/bin/sh\n")
    ordinary, executable = os.stat(store.blobs.path(digest)), os.stat(store.blobs.path(digest, executable=True))
    assert stat.S_IMODE(ordinary.st_mode) == 0o444
    assert stat.S_IMODE(executable.st_mode) == 0o555
    assert ordinary.st_ino != executable.st_ino
    assert ordinary.st_mtime_ns == executable.st_mtime_ns == MODIFIED_NS


def test_modes_do_not_depend_on_the_umask(store: Store) -> None:
    before = os.umask(0o077)
    try:
        digest = store.blobs.put_bytes(b"private?")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(store.blobs.path(digest)).st_mode) == 0o444


def test_a_link_shares_the_inode_and_a_copy_does_not(store: Store, tmp_path: Path) -> None:
    digest = store.blobs.put_bytes(b"content")
    for executable in (False, True):
        blob = os.stat(store.blobs.path(digest, executable))
        number = store.blobs.link(digest, executable, str(tmp_path / f"link{executable}"))
        store.blobs.copy(digest, executable, str(tmp_path / f"copy{executable}"))
        link, copy = os.stat(tmp_path / f"link{executable}"), os.stat(tmp_path / f"copy{executable}")
        assert number == link.st_ino == blob.st_ino != copy.st_ino
        assert (tmp_path / f"copy{executable}").read_bytes() == b"content"
        assert copy.st_mode == blob.st_mode
        assert copy.st_mtime_ns == MODIFIED_NS


def test_where_something_stands_already_nothing_is_linked_or_changed(store: Store, tmp_path: Path) -> None:
    digest = store.blobs.put_bytes(b"content")
    (tmp_path / "dest").write_bytes(b"mine")
    for put in (store.blobs.link, store.blobs.copy):
        with pytest.raises(CacheError, match="file exists"):
            put(digest, False, str(tmp_path / "dest"))
    assert (tmp_path / "dest").read_bytes() == b"mine"


@pytest.mark.posix("modes of files")
def test_one_inode_has_more_names_than_a_file_system_allows(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = store.blobs.put_bytes(b"content")

    def full(*arguments: object, **names: object) -> None:
        raise OSError(errno.EMLINK, "Too many links")

    monkeypatch.setattr(os, "link", full)
    assert store.blobs.link(digest, True, str(tmp_path / "dest")) is None
    assert (tmp_path / "dest").read_bytes() == b"content"
    assert stat.S_IMODE(os.stat(tmp_path / "dest").st_mode) == 0o555


# -- damage


def test_a_blob_that_was_overwritten_is_missing_in_the_process_that_wrote_it(store: Store, tmp_path: Path) -> None:
    uses: list[Callable[[Digest], object]] = [
        store.blobs.read,
        store.blobs.path,
        lambda digest: store.blobs.link(digest, False, str(tmp_path / "link")),
        lambda digest: store.blobs.copy(digest, False, str(tmp_path / "copy")),
    ]
    for number, use in enumerate(uses):
        digest = store.blobs.put_bytes(b"content %d" % number)
        overwrite(plain(store, digest), b"CONTENT")
        with pytest.raises(BlobMissing, match="damaged"):
            use(digest)
        assert not os.path.exists(plain(store, digest))
        assert not store.blobs.has(digest)
        store.blobs.put_bytes(b"content %d" % number)
        use(digest)


@pytest.mark.parametrize("new", [b"", b"c", b"CONTENT", b"content and more"])
def test_another_process_finds_any_damage_even_with_the_old_time_stamp(
    store: Store, opened: Callable[[], Store], new: bytes
) -> None:
    digest = store.blobs.put_bytes(b"content")
    store.close()
    path = plain(store, digest)
    os.chmod(path, 0o644)
    Path(path).write_bytes(new)
    os.chmod(path, 0o444)
    os.utime(path, ns=(MODIFIED_NS, MODIFIED_NS))
    for use in ("path", "read"):
        with pytest.raises(BlobMissing):
            getattr(opened().blobs, use)(digest)
    assert not os.path.exists(path)


def test_putting_what_is_damaged_mends_it(store: Store, opened: Callable[[], Store], tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"content")
    for put in (lambda one: one.blobs.put_bytes(b"content"), lambda one: one.blobs.put_file(str(tmp_path / "source"))):
        digest = put(store)
        overwrite(plain(store, digest), b"CONTENT")
        other = opened()
        assert put(other) == digest
        assert other.blobs.read(digest) == b"content"


def test_a_damaged_executable_is_made_again_from_the_sound_blob(store: Store, opened: Callable[[], Store]) -> None:
    digest = store.blobs.put_bytes(b"content")
    overwrite(store.blobs.path(digest, executable=True), b"CONTENT")
    for one in (store, opened()):
        assert Path(one.blobs.path(digest, executable=True)).read_bytes() == b"content"
    overwrite(store.blobs.path(digest, executable=True), b"CONTENT")
    assert Path(opened().blobs.path(digest, executable=True)).read_bytes() == b"content"


@pytest.mark.parametrize("kind", ["directory", "link", "dangling link", "fifo", "no permissions"])
@pytest.mark.posix("modes of files")
def test_something_else_in_a_blobs_place_is_damage_and_is_not_followed(
    store: Store, opened: Callable[[], Store], tmp_path: Path, kind: str
) -> None:
    digest = store.blobs.put_bytes(b"content")
    store.close()
    path = plain(store, digest)
    victim = tmp_path / "victim"
    victim.write_bytes(b"content")
    os.chmod(victim, 0o640)
    if kind == "no permissions":
        os.chmod(path, 0)
    else:
        os.unlink(path)
    if kind == "directory":
        os.makedirs(f"{path}/with/something/in/it")
    elif kind == "link":
        os.symlink(victim, path)
    elif kind == "dangling link":
        os.symlink("nowhere", path)
    elif kind == "fifo":
        os.mkfifo(path)
    if kind == "no permissions" and getattr(os, "geteuid", int)() == 0:
        assert opened().blobs.read(digest) == b"content"  # root reads it, and the content is right
    else:
        assert not opened().blobs.has(digest)
        with pytest.raises(BlobMissing):
            opened().blobs.path(digest)
    assert opened().blobs.put_bytes(b"content") == digest
    assert opened().blobs.read(digest) == b"content"
    assert stat.S_IMODE(os.stat(victim).st_mode) == 0o640


def test_a_blob_without_a_row_is_known_by_its_sha256(store: Store, opened: Callable[[], Store]) -> None:
    digest = store.blobs.put_bytes(b"not flushed")
    assert opened().blobs.read(digest) == b"not flushed"
    overwrite(plain(store, digest), b"NOT FLUSHED")
    os.utime(plain(store, digest), ns=(MODIFIED_NS, MODIFIED_NS))
    with pytest.raises(BlobMissing):
        opened().blobs.read(digest)


def test_a_digest_with_another_size_is_missing_and_harms_nothing(store: Store, opened: Callable[[], Store]) -> None:
    digest = store.blobs.put_bytes(b"content")
    wrong = Digest(digest.hash, 8)
    for one in (store, opened()):
        for use in (one.blobs.read, one.blobs.path):
            with pytest.raises(BlobMissing, match="has 7 bytes, not 8"):
                use(wrong)
    assert not opened().blobs.has(wrong)
    assert opened().blobs.read(digest) == b"content"


@pytest.mark.parametrize(
    "name", ["", "../../etc/passwd", "/etc/passwd", "A" * 64, "a" * 63, "a" * 65, "a" * 63 + "/", "a" * 64 + "\n"]
)
def test_a_hostile_digest_leads_nowhere(store: Store, tmp_path: Path, name: str) -> None:
    digest = Digest(name, 0)
    for use in (store.blobs.read, store.blobs.path, store.blobs.has):
        with pytest.raises(BlobMissing, match="no valid digest"):
            use(digest)
    with pytest.raises(BlobMissing, match="no valid digest"):
        store.blobs.link(digest, False, str(tmp_path / "dest"))


# -- taking and copying files


@pytest.mark.parametrize("kind", ["link", "directory", "fifo", "missing"])
@pytest.mark.posix("links and named pipes")
def test_only_regular_files_become_blobs(store: Store, tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    path = tmp_path / "output"
    if kind == "link":
        path.symlink_to(secret)
    elif kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    for put in (store.blobs.take_file, store.blobs.put_file):
        with pytest.raises(CacheError, match=r"output: "):
            put(str(path))
    assert os.path.lexists(path) == (kind != "missing")
    assert secret.read_bytes() == b"secret"
    assert staged(store) == []
    assert os.listdir(f"{store.root}/blobs") == []


def test_taking_a_file_moves_the_inode_and_strips_what_it_could_do(store: Store, tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.write_bytes(b"content")
    os.chmod(output, 0o6777)
    inode = os.stat(output).st_ino
    status = os.stat(store.blobs.path(store.blobs.take_file(str(output))))
    assert status.st_ino == inode
    assert stat.S_IMODE(status.st_mode) == 0o444
    assert (status.st_uid, status.st_gid, status.st_mtime_ns) == (os.geteuid(), os.getegid(), MODIFIED_NS)


def test_a_file_with_a_second_name_is_copied(store: Store, tmp_path: Path) -> None:
    """Whoever has the other name could change the inode later."""
    output = tmp_path / "output"
    output.write_bytes(b"content")
    os.link(output, tmp_path / "kept")
    digest = store.blobs.take_file(str(output))
    overwrite(str(tmp_path / "kept"), b"CONTENT")
    assert not output.exists()
    assert store.blobs.read(digest) == b"content"


@pytest.mark.posix("extended attributes that Python knows")
def test_a_file_with_attributes_is_copied_without_them(store: Store, tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.write_bytes(b"content")
    os.setxattr(output, "user.overlay.opaque", b"y")
    path = store.blobs.path(store.blobs.take_file(str(output)))
    assert [name for name in os.listxattr(path) if name != "security.selinux"] == []
    assert Path(path).read_bytes() == b"content"


def test_a_file_without_permissions_is_taken(store: Store, tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.write_bytes(b"content")
    os.chmod(output, 0)
    assert store.blobs.read(store.blobs.take_file(str(output))) == b"content"


def test_taking_from_another_file_system_copies_and_removes(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "output"
    output.write_bytes(b"content")
    rename = os.rename

    def across(source: str, *arguments: str, **descriptors: int) -> None:
        if source == str(output):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, *arguments, **descriptors)

    monkeypatch.setattr(os, "rename", across)
    digest = store.blobs.take_file(str(output))
    assert not output.exists()
    assert store.blobs.read(digest) == b"content"


def test_files_are_found_relative_to_a_descriptor(store: Store, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"one")
    (tmp_path / "two").write_bytes(b"two")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        assert store.blobs.put_file("one", descriptor) == bytes_digest(b"one")
        assert store.blobs.take_file("two", descriptor) == bytes_digest(b"two")
        store.blobs.link(bytes_digest(b"two"), False, "three", descriptor)
    finally:
        os.close(descriptor)
    assert sorted(os.listdir(tmp_path)) == ["cache", "one", "three"]


@pytest.mark.root
def test_what_root_takes_belongs_to_the_owner_of_the_cache(
    opened: Callable[[], Store], cache_dir: str, tmp_path: Path
) -> None:
    os.mkdir(cache_dir, 0o700)
    os.chown(cache_dir, 1234, 1235)
    store = opened()
    for number in range(3):
        (tmp_path / f"output{number}").write_bytes(b"content %d" % number)
        os.chown(tmp_path / f"output{number}", 4321, 4321)
    digests = [
        store.blobs.take_file(str(tmp_path / "output0")),
        store.blobs.put_file(str(tmp_path / "output1")),
        store.blobs.put_bytes(b"content 2"),
    ]
    for digest in digests:
        store.blobs.path(digest, executable=True)
    store.flush()
    owners = {
        (status.st_uid, status.st_gid)
        for directory, names, files in os.walk(cache_dir)
        for name in names + files
        if (status := os.lstat(os.path.join(directory, name)))
    }
    assert owners == {(1234, 1235)}


@pytest.mark.root
def test_what_root_takes_into_its_own_cache_belongs_to_root(store: Store, tmp_path: Path) -> None:
    (tmp_path / "output").write_bytes(b"content")
    os.chown(tmp_path / "output", 65534, 65534)
    status = os.stat(store.blobs.path(store.blobs.take_file(str(tmp_path / "output"))))
    assert (status.st_uid, status.st_gid) == (0, 0)


# -- no room


@pytest.mark.posix("limits of a process's files")
def test_a_file_size_limit_is_an_error_and_nothing_half_written_is_believed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(BIG)
    import resource

    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (CHUNK_BYTES + 100, resource.RLIM_INFINITY))
        for put in (lambda: store.blobs.put_bytes(BIG), lambda: store.blobs.put_file(str(tmp_path / "source"))):
            try:
                put()
            except CacheError as error:
                if "too large" in error.message and "ulimit" in error.hint and staged(store) == []:
                    continue
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert not store.blobs.has(bytes_digest(BIG))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1536k", "tmpfs", mount], check=True)
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


@pytest.mark.root
def test_a_full_disk_is_an_error_and_nothing_half_written_is_believed(small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(BIG)
    with open_store(str(small_disk / "cache")) as store:
        small = store.blobs.put_bytes(b"small")
        with pytest.raises(CacheError, match=r"cannot copy to the store .*source: no space") as caught:
            store.blobs.put_file(str(tmp_path / "source"))
        assert "bldr gc" in caught.value.hint
        with pytest.raises(CacheError, match=r"cannot write a blob to .*blobs: no space"):
            store.blobs.put_bytes(BIG)
        assert not store.blobs.has(bytes_digest(BIG))
        assert staged(store) == []
        store.blobs.link(small, False, str(small_disk / "target"))
        assert (small_disk / "target").read_bytes() == store.blobs.read(small) == b"small"


@pytest.mark.root
def test_the_database_on_a_full_disk_says_so_and_works_once_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with open_store(str(small_disk / "cache")) as store:
        store.memo.put("before", b"1")
        store.flush()
        with open(ballast, "wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(b"x" * 4096)
        store.memo.put("large", b"x" * 500_000)
        with pytest.raises(CacheError, match="full") as caught:
            store.flush()
        assert "bldr gc" in caught.value.hint
        assert store.memo.get("before") == b"1"
        ballast.unlink()
        store.flush()
    with open_store(str(small_disk / "cache")) as store:
        assert store.memo.get("large") == b"x" * 500_000
