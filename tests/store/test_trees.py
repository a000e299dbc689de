"""What can be made again goes when nobody used it, and never while somebody may be using it."""

import time

import pytest

from bldr.store.presence import Swept
from bldr.store.trees import evict_trees, touch
from bldr.system import os

DAY_S = 86400.0


@pytest.fixture
def root(tmp_path):
    for place in ("sysroots/old", "sysroots/new", "sysroots/.building-x", "external/old", "downloads"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "file").write_text("x")
    ago = time.time() - 10 * DAY_S
    for place in ("sysroots/old", "sysroots/.building-x", "external/old"):
        os.utime(tmp_path / place, (ago, ago))
    return tmp_path


def left(root):
    return sorted(f"{path.parent.name}/{path.name}" for path in root.glob("*/*") if path.is_dir())


def test_by_age(root):
    assert evict_trees(str(root), Swept(0, None), None, 5 * DAY_S) == 2
    assert left(root) == ["sysroots/.building-x", "sysroots/new"]


def test_by_size_only_what_this_machine_can_make_again(root):
    assert evict_trees(str(root), Swept(0, None), 1, None) == 2
    assert left(root) == ["external/old", "sysroots/.building-x"]


def test_without_a_bound_nothing_goes(root):
    assert evict_trees(str(root), Swept(0, None), None, None) == 0


def test_what_a_living_process_may_use_stays(root):
    before = time.time_ns() - int(20 * DAY_S * 1e9)
    assert evict_trees(str(root), Swept(0, before), 1, 5 * DAY_S) == 0


def test_touching_is_using(root):
    touch(str(root / "sysroots" / "old"))
    touch(str(root / "external" / "old"))
    assert evict_trees(str(root), Swept(0, None), None, 5 * DAY_S) == 0
