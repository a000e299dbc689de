"""Removing trees that a stranger filled."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bldr.api.errors import CacheError
from bldr.store.removal import remove_tree
from bldr.system import os


@pytest.fixture
def here(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def make_deep(parent: int, name: str, depth: int) -> None:
    """A chain of directories that no path could name, with a file at every hundredth level."""
    descriptor = os.dup(parent)
    for level in range(depth):
        os.mkdir(name, dir_fd=descriptor)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor, name = below, "d" * 200
        if level % 100 == 0:
            os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)


@pytest.mark.posix("named pipes")
def test_nothing_and_single_entries_are_removed(here: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty").mkdir()
    for name in ("file", "fifo", "empty", "never there"):
        remove_tree(here, name)
    assert os.listdir(tmp_path) == []


def test_links_are_removed_and_not_followed(here: int, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_bytes(b"kept")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "directory").symlink_to(victim)
    (tree / "file").symlink_to(victim / "file")
    (tree / "up").symlink_to("..")
    (tmp_path / "link").symlink_to(victim)
    remove_tree(here, "tree")
    remove_tree(here, "link")
    assert os.listdir(tmp_path) == ["victim"]
    assert (victim / "file").read_bytes() == b"kept"


def test_directories_without_permissions_are_opened_up(here: int, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in ("one/two/three", "one/other", "read-only"):
        (tree / name).mkdir(parents=True)
        (tree / name / "file").write_bytes(b"")
        os.chmod(tree / name / "file", 0)
    for name, mode in (("one/two/three", 0), ("one/two", 0), ("one", 0), ("read-only", 0o555)):
        os.chmod(tree / name, mode)
    os.chmod(tree, 0)
    remove_tree(here, "tree")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("depth", [1, 63, 64, 65, 130, 1200])
@pytest.mark.posix("trees that are deeper than a path is long")
def test_depth_is_not_limited(here: int, tmp_path: Path, depth: int) -> None:
    make_deep(here, "tree", depth)
    remove_tree(here, "tree")
    assert os.listdir(tmp_path) == []


@pytest.mark.posix("directories that are closed to their owner")
def test_a_deep_tree_with_closed_directories_and_many_branches(here: int, tmp_path: Path) -> None:
    os.mkdir(tmp_path / "tree")
    tree = os.open(tmp_path / "tree", os.O_RDONLY)
    for branch in range(5):
        make_deep(tree, f"branch{branch}", 200)
    os.close(tree)
    directory = tmp_path / "tree" / "branch0"
    for _ in range(10):
        directory = directory / ("d" * 200)
    os.chmod(directory, 0o500)
    remove_tree(here, "tree")
    assert os.listdir(tmp_path) == []


@pytest.mark.posix("limits of open descriptors")
def test_few_descriptors_are_enough(here: int, tmp_path: Path) -> None:
    import resource

    make_deep(here, "tree", 1000)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[0], 200), before[1]))
    try:
        remove_tree(here, "tree")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert os.listdir(tmp_path) == []


@pytest.mark.posix("links that take the place of a directory")
def test_whoever_swaps_directories_for_links_leads_it_nowhere(here: int, tmp_path: Path) -> None:
    """CVE-2025-46415: a directory is replaced by a link between the look at it and its removal."""
    victim = tmp_path / "victim"
    for number in range(20):
        (victim / f"d{number}").mkdir(parents=True)
        (victim / f"d{number}" / "file").write_bytes(b"kept")
    done = threading.Event()
    swaps = 0

    def swap() -> None:
        nonlocal swaps
        link = tmp_path / "link"
        while not done.is_set():
            for place in (tmp_path / "tree" / "a", tmp_path / "tree" / "a" / "b", tmp_path / "tree"):
                try:
                    link.symlink_to(victim)
                    os.rename(place, tmp_path / "aside")
                    os.rename(link, place)
                    swaps += 1
                except OSError:
                    pass
                for name in ("link", "aside"):
                    with contextlib.suppress(CacheError):
                        remove_tree(here, name)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(300):
            os.makedirs(tmp_path / "new" / "a" / "b" / "c")
            (tmp_path / "new" / "a" / "b" / "file").write_bytes(b"")
            remove_tree(here, "tree")
            with contextlib.suppress(OSError):
                os.rename(tmp_path / "new", tmp_path / "tree")
            remove_tree(here, "tree")
            remove_tree(here, "new")
    finally:
        done.set()
        swapper.join()
    remove_tree(here, "tree")
    assert swaps > 0
    assert sorted(os.listdir(victim)) == sorted(f"d{number}" for number in range(20))
    assert all((victim / f"d{number}" / "file").read_bytes() == b"kept" for number in range(20))


@pytest.mark.posix("links that take the place of a directory")
def test_a_directory_that_becomes_a_link_just_before_it_is_opened(
    here: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").write_bytes(b"kept")
    (tmp_path / "tree" / "a" / "b").mkdir(parents=True)
    really_open = os.open
    swapped: list[str] = []

    def swapping(name: str, flags: int, *, dir_fd: int | None = None) -> int:
        place = tmp_path / "tree" if name == "tree" else tmp_path / "tree" / name
        if not swapped or (name == "a" and swapped == ["tree"]):
            swapped.append(name)
            os.rename(place, tmp_path / f"aside-{name}")
            place.symlink_to(tmp_path / "victim")
            try:
                return really_open(name, flags, dir_fd=dir_fd)
            finally:
                place.unlink()
                os.rename(tmp_path / f"aside-{name}", place)
        return really_open(name, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", swapping)
    remove_tree(here, "tree")
    assert swapped == ["tree", "a"]
    assert os.listdir(tmp_path) == ["victim"]
    assert (tmp_path / "victim" / "file").read_bytes() == b"kept"


def test_somebody_who_keeps_adding_is_an_error_and_not_for_ever(here: int, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    listdir = os.listdir

    def growing(path: int) -> list[str]:
        names = listdir(path)
        os.close(os.open(f"more{len(names)}{os.urandom(4).hex()}", os.O_CREAT | os.O_WRONLY, dir_fd=path))
        return names

    with pytest.MonkeyPatch.context() as patch, pytest.raises(CacheError, match="keeps adding"):
        patch.setattr(os, "listdir", growing)
        remove_tree(here, "tree")


@pytest.mark.root
def test_another_file_system_is_not_entered(here: int, tmp_path: Path) -> None:
    import subprocess

    mount = tmp_path / "tree" / "inside" / "mount"
    mount.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", mount], check=True)
    try:
        (mount / "file").write_bytes(b"kept")
        with pytest.raises(CacheError, match="cannot remove tree"):
            remove_tree(here, "tree")
        assert (mount / "file").read_bytes() == b"kept"
    finally:
        subprocess.run(["umount", "-l", mount], check=True)
    remove_tree(here, "tree")
    assert os.listdir(tmp_path) == []
