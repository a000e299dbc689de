"""Directories that are put aside and removed when there is time."""

import os

import pytest

from bldr.execute.trash import Trash


@pytest.fixture
def place(tmp_path):
    """A directory, its descriptor, and what stands beside the things to throw away."""
    (tmp_path / "staging").mkdir()
    (tmp_path / "trees").mkdir()
    descriptor = os.open(tmp_path / "trees", os.O_RDONLY)
    yield tmp_path, descriptor
    os.close(descriptor)


def throw_away(trash, place, number):
    directory, descriptor = place
    (directory / "trees" / str(number) / "deep").mkdir(parents=True)
    (directory / "trees" / str(number) / "deep" / "file").write_text("x")
    trash.add(str(number), descriptor)


def waiting(place):
    return sorted(os.listdir(place[0] / "staging"))


def test_what_is_added_is_gone_at_once_and_removed_one_after_the_other(place):
    trash = Trash(str(place[0] / "staging"))
    for number in range(3):
        throw_away(trash, place, number)
    assert os.listdir(place[0] / "trees") == []
    assert waiting(place) == ["trash-1", "trash-2", "trash-3"]
    assert trash.remove_one()
    assert waiting(place) == ["trash-2", "trash-3"]
    trash.close()
    assert waiting(place) == []
    assert not trash.remove_one()


def test_what_waits_is_bounded(place):
    trash = Trash(str(place[0] / "staging"))
    for number in range(40):
        throw_away(trash, place, number)
    assert len(waiting(place)) == 16
    assert waiting(place)[-1] == "trash-40"


def test_what_cannot_be_taken_stays(place):
    trash = Trash(str(place[0] / "staging"))
    with pytest.raises(FileNotFoundError):
        trash.add("missing", place[1])
    assert not trash.remove_one()
