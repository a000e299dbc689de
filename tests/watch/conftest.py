"""What the tests of watching share: waiting for what must come, without a clock in an assertion."""

import time

import pytest

from bldr.watch.changes import Changes
from bldr.watch.tree import Tree


@pytest.fixture
def tree(tmp_path):
    """A function that watches a directory of files, made of their paths."""
    opened = []

    def watch(*paths, ignored=()):
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(path)
        opened.append(Tree(str(root), ignored))
        return opened[-1], root

    yield watch
    for each in opened:
        each.close()


@pytest.fixture
def seen():
    """A function that reads a source until it has told something of every path, and returns all that it told."""

    def wait(source, *paths):
        changes = Changes()
        for _ in range(3000):
            changes.add(source.read())
            if set(paths) <= changes.listed | changes.modified:
                return changes
            time.sleep(0.01)
        pytest.fail(f"nothing was told of {set(paths) - changes.listed - changes.modified}")

    return wait
