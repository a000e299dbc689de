"""Watching by `watchfiles`: told by the system, or by comparing times."""

import os

import pytest

from bldr.watch.portable import PortableTree


@pytest.fixture(params=[False, True], ids=["told", "polled"])
def watched(request, tmp_path):
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub/a").write_text("a")
    (root / ".git").mkdir()
    tree = PortableTree(str(root), ["left"], polled=request.param, every_ms=20)
    yield tree, root
    tree.close()


def test_changes_are_told(watched, seen):
    tree, root = watched
    (root / "sub/a").write_text("longer than before")
    os.utime(root / "sub/a", (5_000_000_000, 5_000_000_000))  # polling knows later times only, in whole seconds
    (root / ".git/index").touch()
    (root / "left").mkdir()
    (root / "left/x").touch()
    (root / "b").touch()
    changes = seen(tree, "sub/a", "b")
    assert "sub/a" in changes.modified
    assert "b" in changes.listed
    assert not {path for path in changes.listed | changes.modified if path.startswith((".git/", "left/"))}


def test_the_end_of_the_root_is_told(watched, until, tmp_path):
    tree, root = watched
    root.rename(tmp_path / "elsewhere")
    until(lambda: tree.read().gone)


def test_closing_ends_the_thread_and_may_be_done_twice(watched):
    tree, _ = watched
    tree.close()
    tree.close()
    assert not tree._thread.is_alive()
