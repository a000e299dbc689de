"""Outputs that are written before the build is over."""

import pytest

from bldr.api import Artifact
from bldr.execute.gradual import Gradual
from bldr.execute.materialize import Outputs
from bldr.plan.entries import Entry
from bldr.store.store import open_store


@pytest.fixture
def store(tmp_path):
    with open_store(str(tmp_path / "cache")) as opened:
        yield opened


@pytest.fixture
def outputs(store, tmp_path):
    return Outputs(store, str(tmp_path))


def entries(store, *paths):
    found = {}
    for path in paths:
        digest = store.blobs.put_bytes(path.encode())
        found[path] = [Entry(path, digest.hash, digest.size_bytes)]
    return found


def left(gradual, *artifacts):
    return [artifact.path for artifact in gradual.left({artifact.path: artifact for artifact in artifacts})]


def texts(tmp_path):
    root = tmp_path / "bldr-out"
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_a_directory_is_written_once_all_that_is_wanted_of_it_is_made(store, outputs, tmp_path):
    a, b, c = Artifact("p/a"), Artifact("p/b"), Artifact("q/c")
    gradual = Gradual(outputs, [a, b, c])
    known = entries(store, "p/a", "p/b", "q/c", "p/besides")
    gradual.made([a, Artifact("p/besides"), a])
    assert not gradual.write_some(known)
    gradual.made([b])
    assert gradual.write_some(known)
    assert not gradual.write_some(known)
    assert left(gradual, a, b, c) == ["q/c"]
    assert texts(tmp_path) == {"p/a": "p/a", "p/b": "p/b"}


def test_directories_and_whatever_is_in_very_large_ones_are_left_for_the_end(store, outputs, tmp_path):
    tree = Artifact("p/tree", is_directory=True)
    many = [Artifact(f"q/{number}") for number in range(300)]
    gradual = Gradual(outputs, [tree, *many])
    known = entries(store, "p/tree", *(artifact.path for artifact in many))
    gradual.made([tree, *many])
    assert not gradual.write_some(known)
    assert left(gradual, tree, *many) == ["p/tree", *(artifact.path for artifact in many)]


def test_what_is_in_the_way_is_told_of_at_the_end(store, outputs, tmp_path):
    (tmp_path / "bldr-out").write_text("a file of somebody's")
    gradual = Gradual(outputs, [Artifact("p/a")])
    gradual.made([Artifact("p/a")])
    assert not gradual.write_some(entries(store, "p/a"))
    assert left(gradual, Artifact("p/a")) == ["p/a"]


def test_what_stood_there_before_is_replaced(store, outputs, tmp_path):
    (tmp_path / "bldr-out/p").mkdir(parents=True)
    (tmp_path / "bldr-out/p/a").write_text("of another time")
    gradual = Gradual(outputs, [Artifact("p/a")])
    gradual.made([Artifact("p/a")])
    assert gradual.write_some(entries(store, "p/a"))
    assert texts(tmp_path) == {"p/a": "p/a"}


def test_what_is_below_a_directory_that_is_cleared_at_the_end_is_written_again(store, outputs, tmp_path):
    inside, directory = Artifact("x.test/a"), Artifact("x.test", is_directory=True)
    gradual = Gradual(outputs, [inside])
    gradual.made([inside])
    assert gradual.write_some(entries(store, "x.test/a"))
    assert left(gradual, inside) == []
    assert left(gradual, inside, directory) == ["x.test/a", "x.test"]


def test_very_large_files_are_left_for_the_end(store, outputs, tmp_path):
    a, b = Artifact("p/a"), Artifact("q/b")
    gradual = Gradual(outputs, [a, b])
    gradual.made([b, a])
    known = entries(store, "q/b") | {"p/a": [Entry("p/a", "0" * 64, 1 << 30)]}
    assert gradual.write_some(known)
    assert gradual.write_some(known)
    assert left(gradual, a, b) == ["p/a"]


def test_what_the_cache_has_lost_is_told_of_at_the_end(outputs, tmp_path):
    a = Artifact("p/a")
    gradual = Gradual(outputs, [a])
    gradual.made([a])
    assert not gradual.write_some({"p/a": [Entry("p/a", "0" * 64, 1)]})
    assert left(gradual, a) == ["p/a"]
