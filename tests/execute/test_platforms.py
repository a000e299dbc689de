"""Limits that somebody set on purpose: whoever cannot enforce one says so, or does nothing where all is required."""

from contextlib import suppress
from types import SimpleNamespace

import pytest

from bldr.api import GUARANTEES, LIMITS, HermeticSettings, IsolationError, Level, Probe, Shortfall, TargetAttributes
from bldr.execute.limits import KINDS
from bldr.execute.permissions import merge_permissions
from bldr.execute.platforms import Platforms
from bldr.graph.actions import Permissions
from bldr.report.stream import EventStream
from bldr.store.store import open_store

SETTINGS = {name: kind.setting for name, kind in KINDS.items() if name in LIMITS} | {"cpu-share": "cpus"}


class Box:
    """A platform that gives every guarantee, and some limits."""

    name = "box"
    tree_layout = "overlay"

    def __init__(self, *limits):
        self._limits = limits

    def probe(self):
        lacking = [name for name in LIMITS if name not in self._limits]
        shortfalls = tuple(Shortfall(name, f"no {name} here", f"buy {name}") for name in lacking)
        given = dict.fromkeys((*GUARANTEES, *self._limits), Level.KERNEL)
        return Probe(self.name, True, given, shortfalls)

    def open(self, root, **_):
        return SimpleNamespace(close=lambda: None)


class Heard:
    """A listener that keeps what it heard."""

    def __init__(self):
        self.events = []

    def on_event(self, event):
        self.events.append(event)

    def close(self):
        """Nothing to let go of."""


@pytest.fixture
def choose(tmp_path):
    """A function that chooses a platform for an action with one setting; returns the warnings."""

    def make(box, mode, **settings):
        target = SimpleNamespace(hermetic=HermeticSettings(**settings), attributes=TargetAttributes(type="command"))
        permissions = merge_permissions(target, HermeticSettings())
        node = SimpleNamespace(permissions=permissions, label="//:it")
        heard = Heard()
        with open_store(str(tmp_path / "cache")) as store:
            platforms = Platforms([box], mode, str(tmp_path), store.memo)
            platforms.on_open(lambda _: None, EventStream([heard]))
            platforms.choose(node)
            reached = box.probe().isolation
            return [event.message for event in heard.events], platforms.missing(node, reached), platforms.floor(node)

    return make


@pytest.mark.parametrize("limit", SETTINGS)
def test_require_refuses_what_cannot_be_enforced(choose, limit):
    with pytest.raises(IsolationError) as caught:
        choose(Box(*(name for name in LIMITS if name != limit)), "require", **{SETTINGS[limit]: 7})
    assert f"{limit}: no {limit} here" in caught.value.message
    assert caught.value.hint == f"buy {limit}"


@pytest.mark.parametrize("limit", SETTINGS)
def test_best_warns_of_what_cannot_be_enforced(choose, limit):
    warned, _, _ = choose(Box(), "best", **{SETTINGS[limit]: 7})
    assert warned == [f'limits of {limit}, as "//:it" has one, are not enforced: no {limit} here']


@pytest.mark.parametrize("mode", ["require", "best"])
def test_what_can_be_enforced_is_no_matter(choose, mode):
    warned, missing, floor = choose(Box(*LIMITS), mode, **dict.fromkeys(SETTINGS.values(), 7))
    assert (warned, missing) == ([], [])
    if mode == "require":
        assert set(SETTINGS) <= set(floor)


@pytest.mark.parametrize("mode", ["require", "best"])
def test_default_limits_are_not_demanded(choose, mode):
    assert choose(Box(), mode)[:2] == ([], [])


class Prepared(Box):
    """A platform that can open a launcher early; `opened` are the ways in which it was asked to."""

    is_prepared = True

    def __init__(self, *limits):
        super().__init__(*limits)
        self.opened = []

    def open(self, root, **how):
        self.opened.append(how)
        return super().open(root)


@pytest.fixture
def early(tmp_path):
    """A function that has a platform opened early for nodes that are sandboxed or not, and then chosen for one."""

    def make(box, *sandboxed, mode="best"):
        nodes = [SimpleNamespace(permissions=Permissions(sandboxed=each), label="//:it") for each in sandboxed]
        heard = Heard()
        with open_store(str(tmp_path / "cache")) as store:
            platforms = Platforms([box], mode, str(tmp_path), store.memo)
            platforms.open_early(nodes)
            opened = list(box.opened)
            platforms.on_open(lambda _: None, EventStream([heard]))
            with suppress(IsolationError):
                platforms.choose(nodes[-1])
            return opened, box.opened, [event.message for event in heard.events]

    return make


def test_what_is_prepared_is_opened_early_and_once(early):
    assert early(Prepared(*LIMITS), True) == ([{"waits": False}], [{"waits": False}], [])
    assert early(Prepared(*LIMITS), False, True)[0] == [{"waits": False}]


def test_what_is_not_prepared_is_opened_for_an_action(early):
    box = Prepared(*LIMITS)
    box.is_prepared = False
    assert early(box, True)[:2] == ([], [{}])


def test_nothing_is_opened_early_for_actions_without_a_sandbox_or_for_none(early):
    assert early(Prepared(*LIMITS), False)[0] == []


def test_what_cannot_be_opened_early_is_no_error(early):
    class Refusing(Prepared):
        def open(self, root, **how):
            super().open(root, **how)
            raise OSError("no room")

    box = Refusing(*LIMITS)
    with pytest.raises(OSError, match="no room"):
        early(box, True)
    assert box.opened == [{"waits": False}, {}]


def test_what_is_lacking_is_told_of_when_something_runs(early):
    """Early nobody would hear of it."""

    class Weak(Prepared):
        def probe(self):
            probe = super().probe()
            given = {name: level for name, level in probe.isolation.items() if name != "network"}
            lacking = (*probe.shortfalls, Shortfall("network", "no walls here", "buy walls"))
            return Probe(self.name, True, given, lacking)

    opened, all_opened, told = early(Weak(*LIMITS), True)
    assert (opened, all_opened) == ([], [{}])
    assert any("network" in message for message in told)
