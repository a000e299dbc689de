"""Copies are writable and keep what keys cover: bytes, links, the x bit and time stamps."""

import os
import stat

import pytest

from bldr_unmounted.tree import copy_tree, remove_tree


def test_a_copy_keeps_time_stamps_links_and_the_x_bit(tree):
    copy_tree(tree.lower, tree.upper)
    modes = {
        name: stat.S_IMODE(os.lstat(os.path.join(tree.upper, "pkg", name)).st_mode)
        for name in ("a.txt", "tool", "empty")
    }
    assert modes == {"a.txt": 0o644, "tool": 0o755, "empty": 0o755}
    assert os.readlink(os.path.join(tree.upper, "pkg/link")) == "a.txt"
    for name in ("pkg", "pkg/a.txt", "pkg/tool", "pkg/empty"):
        assert os.stat(os.path.join(tree.upper, name)).st_mtime == 315532800, name


def test_a_copy_does_not_depend_on_the_umask(tree):
    before = os.umask(0o077)
    try:
        copy_tree(tree.lower, tree.upper)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(os.path.join(tree.upper, "pkg")).st_mode) == 0o755
    assert stat.S_IMODE(os.stat(os.path.join(tree.upper, "pkg/a.txt")).st_mode) == 0o644


def test_removal_does_not_follow_links(tmp_path):
    os.makedirs(tmp_path / "victim")
    (tmp_path / "victim/file").write_text("x")
    os.makedirs(tmp_path / "gone/a/b/c")
    for name in ("gone/l", "gone/a/l", "gone/a/b/c/l"):
        os.symlink(tmp_path / "victim", tmp_path / name)
    remove_tree(str(tmp_path / "gone"))
    assert os.listdir(tmp_path) == ["victim"]
    assert os.listdir(tmp_path / "victim") == ["file"]


def test_removal_follows_no_link_and_stops_at_no_mode(tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("kept")
    left = tmp_path / "left"
    (left / "closed/inner").mkdir(parents=True)
    (left / "closed/inner/file").write_text("x")
    (left / "link").symlink_to(victim)
    (left / ".1").mkdir()
    (left / ".2").write_text("a name that removal itself likes")
    os.mkfifo(left / "pipe")
    (left / "closed/inner").chmod(0)
    (left / "closed").chmod(0)
    left.chmod(0)
    remove_tree(str(left))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["victim"]
    assert (victim / "file").read_text() == "kept"


def test_removal_of_what_is_deeper_than_any_path(tmp_path):
    left = tmp_path / "left"
    left.mkdir()
    directory = os.open(left, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=directory)
        inner = os.open("d", os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = inner
    os.close(directory)
    remove_tree(str(left))
    assert not left.exists()


def test_a_link_is_no_directory_to_remove(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(OSError, match="link"):
        remove_tree(str(tmp_path / "link"))
    assert (tmp_path / "real").exists()
