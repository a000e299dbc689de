"""Watching a tree: everything that happens before a look is told by it, however the tree changes its shape."""

import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from bldr.watch.tree import Tree


def test_what_was_done_before_a_look_is_in_it(tree):
    watched, root = tree("a", "sub/b")
    assert not watched.read()
    (root / "a").write_text("other")
    (root / "sub" / "c").touch()
    (root / "sub" / "b").unlink()
    changes = watched.read()
    assert changes.modified >= {"a"}
    assert changes.listed >= {"sub/c", "sub/b"}
    assert not changes.lost
    assert not changes.gone
    assert not watched.read()


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.chmod(0o755),
        lambda file: os.utime(file, (1, 1)),
        lambda file: os.truncate(file, 1),
        lambda file: file.rename(file.with_name("other")),
        lambda file: os.link(file, file.with_name("other")),
    ],
    ids=["mode", "time", "size", "rename", "link"],
)
def test_every_kind_of_change_is_told(tree, change):
    watched, root = tree("a")
    change(root / "a")
    changes = watched.read()
    assert {"a", "other"} & (changes.modified | changes.listed)


def test_reading_is_no_change(tree):
    watched, root = tree("a", "sub/b")
    (root / "a").read_text()
    list((root / "sub").iterdir())
    assert not watched.read()


def test_an_editors_replacing_by_rename_is_told(tree):
    watched, root = tree("a")
    (root / ".a.new").write_text("new")
    (root / ".a.new").replace(root / "a")
    assert "a" in watched.read().listed


def test_a_directory_that_comes_with_files_at_once_is_watched_to_its_bottom(tree):
    watched, root = tree("a")
    (root / "x/y/z").mkdir(parents=True)
    (root / "x/y/z/file").touch()
    assert watched.read().listed >= {"x", "x/y", "x/y/z", "x/y/z/file"}
    assert watched.fresh >= {"x", "x/y", "x/y/z"}
    (root / "x/y/z/file").write_text("more")
    assert "x/y/z/file" in watched.read().modified


def test_directories_that_come_while_others_are_read_lose_nothing(tree, seen):
    watched, root = tree("a")
    wanted = [f"d{outer}/e{inner}/f" for outer in range(40) for inner in range(10)]

    def make():
        for path in wanted:
            (root / path).parent.mkdir(parents=True)
            (root / path).write_text(path)

    making = threading.Thread(target=make)
    making.start()
    changes = seen(watched, *wanted)
    making.join()
    assert not changes.lost


def test_a_directory_that_moves_is_told_of_under_its_new_name(tree):
    watched, root = tree("from/sub/a")
    (root / "from").rename(root / "to")
    assert watched.read().listed >= {"from", "to", "to/sub", "to/sub/a"}
    (root / "to/sub/a").write_text("more")
    changes = watched.read()
    assert changes.modified == {"to/sub/a"}
    assert set(watched.directories) == {"", "to", "to/sub"}


def test_a_directory_that_moves_away_is_watched_no_more(tree, tmp_path):
    watched, root = tree("from/sub/a")
    (root / "from").rename(tmp_path / "away")
    assert watched.read().listed == {"from"}
    (tmp_path / "away/sub/a").write_text("more")
    assert not watched.read()
    (tmp_path / "away").rename(root / "back")
    assert watched.read().listed >= {"back", "back/sub", "back/sub/a"}


def test_a_directory_that_goes_and_comes_again_many_times_is_watched_in_the_end(tree):
    watched, root = tree("a")
    for _ in range(50):
        (root / "d").mkdir()
        (root / "d/f").touch()
        shutil.rmtree(root / "d")
    (root / "d").mkdir()
    watched.read()
    (root / "d/f").touch()
    assert watched.read().listed == {"d/f"}


def test_two_directories_that_change_places(tree):
    watched, root = tree("one/a", "two/b")
    (root / "one").rename(root / "third")
    (root / "two").rename(root / "one")
    (root / "third").rename(root / "two")
    watched.read()
    (root / "one/b").write_text("more")
    (root / "two/a").write_text("more")
    assert watched.read().modified == {"one/b", "two/a"}


def test_links_to_directories_are_not_followed(tree, tmp_path):
    (tmp_path / "outside").mkdir()
    watched, root = tree("real/a")
    (root / "link").symlink_to("real")
    (root / "out").symlink_to(tmp_path / "outside")
    assert watched.read().listed == {"link", "out"}
    (root / "link/a").write_text("more")
    assert watched.read().modified == {"real/a"}
    (tmp_path / "outside/file").touch()
    assert not watched.read()


def test_stores_of_version_control_caches_and_hidden_directories_are_left_alone(tree):
    watched, root = tree(
        ".git/index", "a", ".hidden/b", "cached/CACHEDIR.TAG", "cached/deep/c", "left/out/d", ignored=["left"]
    )
    assert set(watched.directories) == {"", "cached"}
    (root / ".git/index").write_text("more")
    (root / ".hidden/b").write_text("more")
    (root / "left/out/d").write_text("more")
    assert not watched.read()


def test_outputs_are_watched_whatever_they_are_called(tree):
    watched, root = tree("bldr-out/.config/__pycache__/a")
    (root / "bldr-out/.config/__pycache__/a").write_text("more")
    assert watched.read().modified == {"bldr-out/.config/__pycache__/a"}


def test_a_directory_that_a_build_looked_into_is_followed(tree):
    watched, root = tree(".hidden/b", "left/d", ignored=["left"])
    assert watched.follow(["", ".hidden", "left"], ()) == [".hidden", "left"]
    assert watched.follow(["", ".hidden", "left", "missing"], ()) == []
    (root / ".hidden/b").write_text("more")
    (root / "left/d").write_text("more")
    assert watched.read().modified == {".hidden/b", "left/d"}
    watched.follow([""], ["left"])
    (root / "left/d").write_text("even more")
    assert not watched.read()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_directory_that_becomes_readable_is_watched(tree):
    (root := tree("a")[1])
    (root / "shut").mkdir()
    (root / "shut/file").touch()
    (root / "shut").chmod(0)
    watched = Tree(str(root))
    assert "shut" not in watched.directories
    (root / "shut").chmod(0o755)
    assert watched.read().listed >= {"shut/file"}
    assert "shut" in watched.directories
    watched.close()


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_the_end_of_the_root_is_told(tree, tmp_path, how):
    watched, root = tree("a")
    if how == "removed":
        shutil.rmtree(root)
    else:
        root.rename(tmp_path / "elsewhere")
    assert watched.read().gone


_STOPPED = """
import os, sys
from bldr.watch.changes import Changes
from bldr.watch.tree import Tree
tree = Tree(sys.argv[1])
print("watching", flush=True)
sys.stdin.readline()
changes = tree.read()
print(changes.lost, "new/inner" in tree.directories, flush=True)
sys.stdin.readline()
print("new/inner/last" in tree.read().modified, flush=True)
"""


def test_an_overflow_is_noticed_and_what_came_meanwhile_is_watched(tmp_path):
    """A stopped process reads nothing, so that the kernel's queue overflows for real."""
    with open("/proc/sys/fs/inotify/max_queued_events") as limit:
        most = int(limit.read())
    process = subprocess.Popen(
        [sys.executable, "-c", _STOPPED, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "watching\n"
        process.send_signal(signal.SIGSTOP)
        for number in range(most // 2 + 1):
            (tmp_path / str(number % 2)).touch()
            (tmp_path / str(number % 2)).unlink()
        (tmp_path / "new/inner").mkdir(parents=True)
        (tmp_path / "new/inner/last").touch()
        process.send_signal(signal.SIGCONT)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "True True\n"
        (tmp_path / "new/inner/last").write_text("more")
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "True\n"
    finally:
        process.kill()
        process.communicate()
