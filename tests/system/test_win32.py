"""Files of Windows: what fails leaves everything as it was, links are never directories, who reads is no hindrance."""

import errno
import os
import stat
import struct
import threading

import pytest

from bldr.store.removal import remove_tree
from bldr.system import os as system
from bldr.system import win32


class Held:
    """A file that somebody has open as ordinary programs of Windows do: nobody may rename or remove it."""

    def __init__(self, path, shared=1):
        self._kernel = win32.Win32()._kernel
        self._handle = self._kernel.CreateFileW(str(path), 0x80000000, shared, None, 3, 0x02000000, None)
        assert self._handle != win32._INVALID

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._kernel.CloseHandle(self._handle)


def names(path):
    return sorted(item.name for item in path.iterdir())


def test_a_rename_is_described_as_windows_has_it():
    """FILE_RENAME_INFO: the flags, no directory, the length in bytes, and the name at the twentieth byte."""
    info = win32._rename_info("C:\\ä")
    assert struct.unpack_from("<IIQI", info) == (0x43, 0, 0, 8)
    assert info[20:] == "C:\\ä\0".encode("utf-16-le")


@pytest.mark.wine
@pytest.mark.parametrize("held", ["source", "destination"])
def test_a_rename_that_fails_leaves_both_files(tmp_path, held):
    (tmp_path / "source").write_text("new")
    (tmp_path / "destination").write_text("old")
    with Held(tmp_path / held), pytest.raises(PermissionError):
        system.rename(tmp_path / "source", tmp_path / "destination")
    assert (tmp_path / "source").read_text() == "new"
    assert (tmp_path / "destination").read_text() == "old"
    assert names(tmp_path) == ["destination", "source"]
    system.rename(tmp_path / "source", tmp_path / "destination")
    assert (tmp_path / "destination").read_text() == "new"
    assert names(tmp_path) == ["destination"]


@pytest.mark.wine
def test_of_a_move_aside_that_was_in_vain_nothing_is_to_be_seen(tmp_path):
    """The way of old, tried itself."""
    (tmp_path / "source").write_text("new")
    (tmp_path / "destination").write_text("old")
    with Held(tmp_path / "source"), pytest.raises(PermissionError):
        win32.Win32()._replace_aside(str(tmp_path / "source"), str(tmp_path / "destination"))
    assert (tmp_path / "destination").read_text() == "old"
    assert names(tmp_path) == ["destination", "source"]


@pytest.mark.wine
def test_a_directory_takes_no_file_s_place(tmp_path):
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").write_text("kept")
    with pytest.raises(NotADirectoryError):
        system.rename(tmp_path / "directory", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"
    assert (tmp_path / "directory").is_dir()


@pytest.mark.wine
def test_a_directory_that_is_open_keeps_its_name_when_it_is_taken_for_a_file(tmp_path):
    (tmp_path / "directory/inside").mkdir(parents=True)
    with Held(tmp_path / "directory", shared=7), pytest.raises(IsADirectoryError):
        system.unlink(tmp_path / "directory")
    with pytest.raises(IsADirectoryError):
        system.unlink(tmp_path / "directory")
    assert names(tmp_path) == ["directory"]


@pytest.mark.wine
def test_links_of_a_file_that_others_read_are_removed_and_the_readers_read(tmp_path):
    (tmp_path / "blob").write_text("content")
    (tmp_path / "blob").chmod(0o444)
    links = [tmp_path / f"link{number}" for number in range(100)]
    for link in links:
        system.link(tmp_path / "blob", link)
    failures, ended = [], threading.Event()

    def read():
        while not ended.is_set():
            try:
                descriptor = system.open(tmp_path / "blob", os.O_RDONLY)
                if os.read(descriptor, 100) != b"content":
                    failures.append("other content")
                os.close(descriptor)
            except OSError as error:
                failures.append(str(error))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for link in links:
            system.unlink(link)
    finally:
        ended.set()
        thread.join()
    assert not failures
    assert names(tmp_path) == ["blob"]
    assert not (tmp_path / "blob").stat().st_mode & 0o200


@pytest.mark.wine
def test_a_file_that_nobody_may_remove_stays_under_its_name(tmp_path):
    (tmp_path / "file").write_text("kept")
    with Held(tmp_path / "file"), pytest.raises(PermissionError):
        system.unlink(tmp_path / "file")
    assert names(tmp_path) == ["file"]


@pytest.mark.wine
def test_a_file_that_somebody_lets_go_of_is_removed_then(tmp_path):
    (tmp_path / "file").touch()
    held = Held(tmp_path / "file")
    release = threading.Timer(0.05, held.__exit__)
    release.start()
    system.unlink(tmp_path / "file")
    release.join()
    assert names(tmp_path) == []


@pytest.mark.wine
def test_rmdir_removes_no_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        system.rmdir(tmp_path / "file")


@pytest.mark.windows
def test_a_directory_that_is_read_only_is_removed(tmp_path):
    (tmp_path / "directory").mkdir()
    win32.Win32()._kernel.SetFileAttributesW(str(tmp_path / "directory"), 0x11)
    system.rmdir(tmp_path / "directory")
    assert names(tmp_path) == []


@pytest.fixture
def junction(tmp_path):
    import _winapi

    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    (tmp_path / "elsewhere/secret").write_text("secret")
    (tmp_path / "tree").mkdir()
    _winapi.CreateJunction(str(tmp_path / "elsewhere"), str(tmp_path / "tree/junction"))
    return tmp_path / "tree/junction"


@pytest.mark.windows
def test_a_junction_is_a_link(tmp_path, junction):
    assert stat.S_ISLNK(system.lstat(junction).st_mode)
    assert stat.S_ISDIR(system.stat(junction).st_mode)
    with system.scandir(tmp_path / "tree") as entries:
        assert [(e.name, e.is_symlink(), e.is_dir(follow_symlinks=False), e.is_dir()) for e in entries] == [
            ("junction", True, False, True)
        ]
    assert system.readlink(junction).startswith("/")
    with pytest.raises(OSError) as caught:
        system.open(junction, system.O_RDONLY | system.O_DIRECTORY | system.O_NOFOLLOW)
    assert caught.value.errno == errno.ELOOP
    with pytest.raises(NotADirectoryError):
        system.rmdir(junction)


@pytest.mark.windows
def test_of_a_tree_with_a_junction_the_link_alone_is_removed(tmp_path, junction):
    assert junction.exists()
    top = system.open(tmp_path, system.O_RDONLY | system.O_DIRECTORY)
    remove_tree(top, "tree")
    os.close(top)
    assert names(tmp_path) == ["elsewhere"]
    assert (tmp_path / "elsewhere/secret").read_text() == "secret"


@pytest.mark.windows
@pytest.mark.usefixtures("links")
def test_what_must_be_new_is_not_made_where_a_dangling_link_leads(tmp_path):
    (tmp_path / "link").symlink_to("target")
    with pytest.raises(FileExistsError):
        system.open(tmp_path / "link", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    assert not (tmp_path / "target").exists()
