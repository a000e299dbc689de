"""Empty directories that lie ready."""

import errno
import os

import pytest

from bldr.execute import spares
from bldr.execute.linktree import make_directory
from bldr.execute.spares import DIRECTORY, Spares, seen


@pytest.fixture
def trees(tmp_path):
    """A directory with one in it, and its descriptor."""
    (tmp_path / "staging").mkdir()
    (tmp_path / "trees").mkdir()
    descriptor = os.open(tmp_path / "trees", os.O_RDONLY)
    yield tmp_path / "trees", descriptor
    os.close(descriptor)


def given(ready, trees, name, owner=None):
    top, descriptor = trees
    make_directory(str(top / name), None)
    inside = os.open(top / name, DIRECTORY)
    made = seen(inside, os.fstat(inside))
    os.close(inside)
    return ready.give(name, descriptor, owner, made), made


def test_what_was_given_is_taken_again_with_what_is_known_of_it(trees):
    ready = Spares(str(trees[0].parent / "staging"))
    assert ready.take(None) is None
    is_taken, made = given(ready, trees, "one")
    assert is_taken
    assert os.listdir(trees[0]) == []
    place, known = ready.take(None)
    assert known == made
    assert os.stat(place).st_ino == made.inode
    assert ready.take(None) is None


def test_each_owner_has_his_own(trees):
    ready = Spares(str(trees[0].parent / "staging"))
    given(ready, trees, "one", (65534, 65534))
    assert ready.take(None) is None
    assert ready.take((65534, 65534)) is not None


def test_as_many_are_made_as_are_expected(trees):
    staging = trees[0].parent / "staging"
    ready = Spares(str(staging))
    assert not ready.make_ahead()
    ready.expect(None, 2)
    given(ready, trees, "one")
    assert ready.make_ahead()
    assert not ready.make_ahead()
    place, known = ready.take(None)
    descriptor = os.open(place, DIRECTORY)
    assert seen(descriptor, os.fstat(descriptor)) == known
    os.close(descriptor)
    assert known.mode & 0o777 == 0o755
    assert len(os.listdir(staging)) == 2
    ready.expect(None, 1)
    assert not ready.make_ahead()
    assert ready.take(None) is not None
    assert ready.make_ahead()


def test_one_that_cannot_be_made_is_none(trees, monkeypatch):
    def full(place, owner):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(spares, "make_directory", full)
    ready = Spares(str(trees[0].parent / "staging"))
    ready.expect(None, 1)
    assert not ready.make_ahead()
    monkeypatch.undo()
    assert not ready.make_ahead()  # until it is expected again
    ready.expect(None, 1)
    assert ready.make_ahead()


def test_there_are_never_too_many(trees, monkeypatch):
    monkeypatch.setattr(spares, "_MOST", 2)
    ready = Spares(str(trees[0].parent / "staging"))
    ready.expect(None, 100)
    assert [ready.make_ahead() for _ in range(3)] == [True, True, False]
    assert given(ready, trees, "one")[0] is False
    assert os.listdir(trees[0]) == ["one"]
