"""Calls by descriptor of a directory, and by path: the same for whoever calls them."""

import errno
import os
import stat
from types import SimpleNamespace

import pytest

from bldr.store import blobs, digest, gc, inodes, presence, removal, store, trees
from bldr.system import os as system
from bldr.system.by_path import ByPath


class PosixNative:
    """What `ByPath` is made of, on the machine that runs the tests."""

    fstat = staticmethod(os.fstat)
    stat = staticmethod(os.stat)
    lstat = staticmethod(os.lstat)
    chmod = staticmethod(os.chmod)
    unlink = staticmethod(os.unlink)
    rmdir = staticmethod(os.rmdir)
    rename = staticmethod(os.rename)
    readlink = staticmethod(os.readlink)
    scandir = staticmethod(os.scandir)

    def path_of(self, descriptor):
        status = os.fstat(descriptor)
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        assert os.path.samestat(status, os.stat(path))
        return path

    def open(self, path, flags, mode):
        return os.open(path, flags, mode)

    def utime(self, path, ns):
        os.utime(path, ns=ns)


def by_path():
    """A stand-in for the module `os` whose calls go by path."""
    calls = ByPath(PosixNative())
    names = [name for name in dir(ByPath) if not name.startswith("_")]
    return SimpleNamespace(**{**vars(os), **{name: getattr(calls, name) for name in [*names, "fstat"]}})


@pytest.fixture(params=["by descriptor", "by path"])
def calls(request):
    if request.param == "by descriptor":
        return system
    if not hasattr(os, "geteuid") or not os.path.exists("/proc/self/fd"):
        pytest.skip("no path of a descriptor is to be had here")
    return by_path()


@pytest.fixture
def top(calls, tmp_path):
    descriptor = calls.open(tmp_path, calls.O_RDONLY | calls.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_what_is_made_below_a_directory_is_there(calls, top, tmp_path):
    calls.mkdir("a", dir_fd=top)
    descriptor = calls.open("a/file", calls.O_WRONLY | calls.O_CREAT | calls.O_EXCL, 0o640, dir_fd=top)
    os.write(descriptor, b"1\r\n2\n")
    calls.fchmod(descriptor, 0o444)
    os.close(descriptor)
    calls.link("a/file", "b", src_dir_fd=top, dst_dir_fd=top, follow_symlinks=False)
    assert (tmp_path / "b").read_bytes() == b"1\r\n2\n"
    status = calls.stat("a/file", dir_fd=top, follow_symlinks=False)
    assert (stat.S_IMODE(status.st_mode), status.st_nlink, status.st_size) == (0o444, 2, 5)
    assert calls.stat("b", dir_fd=top).st_ino == status.st_ino == calls.lstat(tmp_path / "b").st_ino
    assert sorted(calls.listdir(top)) == ["a", "b"]
    with calls.scandir(top) as items:
        assert {item.name: item.is_dir(follow_symlinks=False) for item in items} == {"a": True, "b": False}


@pytest.mark.usefixtures("links")
def test_links_are_made_read_and_looked_at(calls, top, tmp_path):
    (tmp_path / "file").touch()
    calls.symlink("file", "link", dir_fd=top)
    assert calls.readlink("link", dir_fd=top) == "file"
    assert stat.S_ISLNK(calls.stat("link", dir_fd=top, follow_symlinks=False).st_mode)
    assert calls.stat("link", dir_fd=top).st_ino == calls.lstat(tmp_path / "file").st_ino


def test_a_directory_that_was_renamed_is_still_the_one_that_is_meant(calls, tmp_path):
    if os.environ.get("BLDR_UNDER_WINE"):
        pytest.skip("Wine knows of a directory the name that it had when it was opened")
    (tmp_path / "old").mkdir()
    descriptor = calls.open(tmp_path / "old", calls.O_RDONLY | calls.O_DIRECTORY)
    calls.rename(tmp_path / "old", tmp_path / "new")
    (tmp_path / "old").mkdir()
    calls.mkdir("inside", dir_fd=descriptor)
    os.close(descriptor)
    assert (tmp_path / "new/inside").is_dir()


def test_a_file_takes_the_place_of_another_that_somebody_reads(calls, top, tmp_path):
    (tmp_path / "one").write_text("old")
    (tmp_path / "two").write_text("new")
    (tmp_path / "one").chmod(0o444)
    reading = calls.open("one", calls.O_RDONLY, dir_fd=top)
    calls.rename("two", "one", src_dir_fd=top, dst_dir_fd=top)
    assert os.read(reading, 10) == b"old"
    os.close(reading)
    assert (tmp_path / "one").read_text() == "new"
    assert not (tmp_path / "two").exists()


@pytest.mark.usefixtures("links")
def test_no_link_in_the_last_place_is_followed(calls, top, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(OSError) as caught:  # ELOOP or ENOTDIR
        calls.open("link", calls.O_RDONLY | calls.O_DIRECTORY | calls.O_NOFOLLOW, dir_fd=top)
    assert caught.value.errno in (errno.ELOOP, errno.ENOTDIR)
    with pytest.raises(FileExistsError):
        calls.open("link", calls.O_WRONLY | calls.O_CREAT | calls.O_EXCL, dir_fd=top)
    calls.unlink("link", dir_fd=top)
    assert (tmp_path / "elsewhere").is_dir()


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        (lambda calls, top: calls.open("file", calls.O_RDONLY | calls.O_DIRECTORY, dir_fd=top), NotADirectoryError),
        (lambda calls, top: calls.open("none", calls.O_RDONLY, dir_fd=top), FileNotFoundError),
        (lambda calls, top: calls.stat("none", dir_fd=top), FileNotFoundError),
        (lambda calls, top: calls.unlink("none", dir_fd=top), FileNotFoundError),
        (lambda calls, top: calls.unlink("full", dir_fd=top), (IsADirectoryError, PermissionError)),
        (lambda calls, top: calls.rmdir("none", dir_fd=top), FileNotFoundError),
        (lambda calls, top: calls.rmdir("file", dir_fd=top), NotADirectoryError),
        (lambda calls, top: calls.mkdir("full", dir_fd=top), FileExistsError),
        (lambda calls, top: calls.link("file", "full", src_dir_fd=top, dst_dir_fd=top), FileExistsError),
        (lambda calls, top: calls.rename("none", "new", src_dir_fd=top, dst_dir_fd=top), FileNotFoundError),
        (lambda calls, top: calls.rename("file", "full", src_dir_fd=top, dst_dir_fd=top), IsADirectoryError),
        (lambda calls, top: calls.rename("full", "file", src_dir_fd=top, dst_dir_fd=top), NotADirectoryError),
    ],
)
def test_errors_are_those_of_posix(calls, top, tmp_path, do, expected):
    (tmp_path / "file").touch()
    (tmp_path / "full/inside").mkdir(parents=True)
    with pytest.raises(expected):
        do(calls, top)


def test_a_directory_that_is_not_empty_stays(calls, top, tmp_path):
    (tmp_path / "full/inside").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    for do in (
        lambda: calls.rmdir("full", dir_fd=top),
        lambda: calls.rename("other", "full", src_dir_fd=top, dst_dir_fd=top),
    ):
        with pytest.raises(OSError) as caught:
            do()
        assert caught.value.errno in (errno.ENOTEMPTY, errno.EEXIST)
    assert (tmp_path / "full/inside").is_dir()


def test_times_are_set_by_descriptor_and_by_name(calls, top, tmp_path):
    (tmp_path / "file").touch()
    descriptor = calls.open("file", calls.O_RDWR, dir_fd=top)
    calls.utime(descriptor, ns=(10**18, 10**18))
    assert calls.fstat(descriptor).st_mtime_ns == 10**18
    os.close(descriptor)
    calls.utime("file", ns=(2 * 10**18, 2 * 10**18), dir_fd=top, follow_symlinks=False)
    assert calls.stat("file", dir_fd=top).st_mtime_ns == 2 * 10**18


def test_setting_a_mode_renews_the_change_time(calls, top, tmp_path, until):
    (tmp_path / "file").touch(0o444)
    before = calls.stat("file", dir_fd=top).st_ctime_ns

    def renewed():
        calls.chmod("file", 0o444, dir_fd=top)
        return calls.stat("file", dir_fd=top).st_ctime_ns > before

    until(renewed)


def test_a_store_works_by_paths(monkeypatch, tmp_path, calls):
    """Blobs are put, taken, linked, damaged, found out, collected; a tree of a stranger's is removed."""
    for module in (blobs, digest, gc, inodes, presence, removal, store, trees):
        monkeypatch.setattr(module, "os", calls)
    cache = str(tmp_path / "cache")
    with store.open_store(cache) as kept:
        put = kept.blobs.put_bytes(b"put\n")
        (tmp_path / "made").write_bytes(b"made\n")
        taken = kept.blobs.take_file(str(tmp_path / "made"))
        assert not (tmp_path / "made").exists()
        kept.blobs.link(put, False, str(tmp_path / "link"))
        kept.blobs.copy(taken, True, str(tmp_path / "copy"))
        assert (tmp_path / "link").read_bytes() == b"put\n"
        assert (tmp_path / "copy").read_bytes() == b"made\n"
    with store.open_store(cache) as kept:
        damaged = kept.blobs.path(put)
        os.chmod(damaged, 0o644)
        with open(damaged, "wb") as file:
            file.write(b"bad\n")
        os.chmod(damaged, 0o444)
    with store.open_store(cache) as kept:
        assert not kept.blobs.has(put)
        assert kept.blobs.read(taken) == b"made\n"
    with store.open_store(cache) as kept:
        assert kept.gc(max_size_bytes=0).blobs == 1
        deep = os.path.join(kept.staging, *["d"] * 70)
        os.makedirs(deep)
        with open(os.path.join(deep, "file"), "w"):
            pass
        left = kept.staging
    assert not os.path.exists(left)
