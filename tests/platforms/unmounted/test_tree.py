"""Copies are writable and keep what keys cover: bytes, links, the x bit and time stamps."""

import os
import stat

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
