"""What may run beside what."""

from dataclasses import dataclass, field

import pytest

from bldr.api import Action, Artifact, Label, Usage
from bldr.execute.result import ActionResult
from bldr.execute.runners import Limited, Outcome, Work
from bldr.execute.slots import SMALL, Demand, Slots, demand_of, noteworthy
from bldr.graph.actions import ActionNode, Permissions

GIB = 1 << 30


def node(index=0, *, exclusive=False):
    return ActionNode(
        index=index,
        label=Label("", "", "t"),
        action=Action(argv=("true",), inputs=(), outputs=(Artifact(f"o{index}"),), mnemonic="Do"),
        handler="h",
        toolchains=(),
        env=(),
        permissions=Permissions(),
        deps=(),
        exclusive=exclusive,
    )


def test_only_what_is_large_is_worth_noting():
    assert noteworthy(Usage(wall_s=1.0, cpu_s=1.0, memory_peak_bytes=1 << 20)) is None
    assert noteworthy(Usage()) is None
    assert noteworthy(Usage(wall_s=0.001, cpu_s=0.004)) is None  # the clock's grain
    assert noteworthy(Usage(wall_s=2.0, cpu_s=6.0)) == (3.0, 0)
    assert noteworthy(Usage(wall_s=2.0, cpu_s=1.0, memory_peak_bytes=GIB)) == (0.5, GIB)


@pytest.mark.parametrize(
    ("running", "next_one", "fits"),
    [
        ([], Demand(8, 100 * GIB, True), True),
        ([Demand()], Demand(), True),
        ([Demand(), Demand()], Demand(), False),
        ([Demand()], Demand(2), False),
        ([Demand(4)], Demand(), False),
        ([Demand(1, 2 * GIB)], Demand(1, 2 * GIB), True),
        ([Demand(1, 2 * GIB)], Demand(1, 2 * GIB + 1), False),
        ([Demand(1, 9 * GIB)], Demand(), True),
        ([Demand()], Demand(exclusive=True), False),
        ([Demand(exclusive=True)], Demand(), False),
    ],
)
def test_what_fits_beside_what_runs_on_two_processors_and_4_gib(running, next_one, fits):
    slots = Slots(2, 4 * GIB)
    for demand in running:
        slots.take(demand)
    assert slots.fits(next_one) == fits
    for demand in running:
        slots.give_back(demand)
    assert slots.fits(next_one)
    assert slots.running == 0


def test_an_exclusive_action_stays_exclusive_whatever_is_known_of_it():
    assert demand_of(node(exclusive=True), (3.2, GIB)) == Demand(3, GIB, exclusive=True)
    assert demand_of(node(exclusive=True), None).exclusive
    assert demand_of(node(), None) == Demand()


@dataclass
class Recorder:
    """The runner inside: actions run until the test ends them. Where it `hands_over`, one waits for the first end."""

    hands_over: bool = False
    running: dict = field(default_factory=dict)
    order: list = field(default_factory=list)
    waiting: list = field(default_factory=list)
    prepared: list = field(default_factory=list)
    told_to_go_on: int = 0

    def run(self, work, done):
        self.running[work.node.index] = (work, done)
        self.order.append(work.node.index)

    def prepare(self, work):
        self.prepared.append(work.node.index)
        return True

    def can_run_next(self, work):
        return self.hands_over

    def run_next(self, work, done):
        self.waiting.append((work, done))

    def go_on(self):
        self.told_to_go_on += 1

    def end(self, index):
        work, done = self.running.pop(index)
        if self.waiting:
            self.run(*self.waiting.pop())
        done(work, Outcome(ActionResult(status="ok"), cached=False))


@pytest.fixture
def queued():
    """A runner with two slots and 4 GiB, and actions in its queue: their needs in order, the first the most urgent."""

    def queue(*needs, exclusive=(), hands_over=False):
        nodes = [node(index, exclusive=index in exclusive) for index in range(len(needs))]
        known = {node.name: need for node, need in zip(nodes, needs, strict=True) if need}
        inner = Recorder(hands_over)
        urgency = {node.index: float(len(nodes) - node.index) for node in nodes}
        limited = Limited(inner, Slots(2, 4 * GIB), urgency, known)
        for waiting in nodes:
            limited.run(Work(waiting, (), ()), lambda work, outcome: None)
        limited.fill()
        return limited, inner

    return queue


def test_a_small_action_passes_one_that_does_not_fit(queued):
    limited, inner = queued((0.0, 3 * GIB), (0.0, 3 * GIB), None)
    assert sorted(inner.running) == [0, 2]
    inner.end(0)
    limited.fill()
    assert sorted(inner.running) == [1, 2]


def test_who_was_passed_over_often_enough_has_its_turn(queued):
    limited, inner = queued(None, *[None] * 40, exclusive={1})
    assert sorted(inner.running) == [0, 2]
    while 1 not in inner.running:
        inner.end(min(inner.running))
        limited.fill()
    assert list(inner.running) == [1]
    assert 5 < len(inner.order) < 20
    limited.fill()
    assert list(inner.running) == [1]
    inner.end(1)
    limited.fill()
    assert len(inner.running) == 2


def test_everything_runs_once_whatever_it_needs(queued):
    limited, inner = queued(*[(9.0, 9 * GIB), None, (1.6, GIB), (0.0, 5 * GIB)] * 5, exclusive={3, 4, 9, 19})
    while inner.running:
        assert len(inner.running) <= 2
        inner.end(max(inner.running))
        limited.fill()
    assert sorted(inner.order) == list(range(20))
    assert limited.running == 0


def test_what_has_ended_gives_its_place_away_before_it_is_done_with(queued):
    limited, inner = queued(None, None, None, None)
    assert sorted(inner.running) == [0, 1]
    ended = inner.running[0][0]
    limited.release(ended)
    limited.fill()
    assert sorted(inner.running) == [0, 1, 2]
    inner.end(0)  # its place was given back, once
    limited.fill()
    assert sorted(inner.running) == [1, 2]
    inner.end(1)
    limited.fill()
    assert sorted(inner.running) == [2, 3]


def test_an_exclusive_action_is_alone_until_it_has_ended(queued):
    limited, inner = queued(None, None, exclusive=(0,))
    assert sorted(inner.running) == [0]
    limited.release(inner.running[0][0])
    limited.fill()
    assert sorted(inner.running) == [0, 1]


def test_the_next_action_is_prepared_once_while_it_waits():
    inner = Recorder()
    nodes = [node(index) for index in range(4)]
    urgency = {node.index: float(len(nodes) - node.index) for node in nodes}
    limited = Limited(inner, Slots(1, GIB), urgency, {})
    for waiting in nodes:
        limited.run(Work(waiting, (), ()), lambda work, outcome: None)
    limited.fill()
    assert limited.prepare()
    assert not limited.prepare()
    assert inner.prepared == [1]
    inner.end(0)
    limited.fill()
    assert limited.prepare()
    assert inner.prepared == [1, 2]
    limited.stop()
    assert not limited.prepare()


def waiting(inner):
    return [work.node.index for work, _ in inner.waiting]


def test_two_more_than_there_are_slots_are_handed_over(queued):
    limited, inner = queued(*[None] * 5, hands_over=True)
    assert (sorted(inner.running), waiting(inner)) == ([0, 1], [2, 3])
    limited.fill()
    assert waiting(inner) == [2, 3]
    inner.end(1)
    limited.fill()
    assert (len(inner.running), sorted([*inner.running, *waiting(inner)])) == (2, [0, 2, 3, 4])
    while inner.running:
        inner.end(min(inner.running))
        limited.fill()
    assert sorted(inner.order) == list(range(5))
    assert limited.running == 0


@pytest.mark.parametrize(("slots", "most"), [(1, 1), (2, 2), (3, 2), (64, 2)])
def test_how_many_may_wait(slots, most):
    taken = Slots(slots, GIB)
    for _ in range(slots):
        assert not taken.fits_next(SMALL)
        taken.take(SMALL)
    for _ in range(most):
        assert taken.fits_next(SMALL)
        taken.take(SMALL)
    assert not taken.fits_next(SMALL)


@pytest.mark.parametrize("need", [(2.0, 0), (0.0, GIB)])
def test_nothing_is_handed_over_beside_what_is_large_nor_is_that(queued, need):
    limited, inner = queued(None, None, need, None, hands_over=True)
    assert waiting(inner) == []
    inner.end(0)
    inner.end(1)
    limited.fill()
    assert 2 in inner.running
    assert waiting(inner) == []


def test_nothing_is_handed_over_where_something_exclusive_comes_next_or_runs(queued):
    limited, inner = queued(None, None, None, None, exclusive={2}, hands_over=True)
    assert waiting(inner) == []
    inner.end(0)
    inner.end(1)
    limited.fill()
    assert (sorted(inner.running), waiting(inner)) == ([2], [])


def test_nothing_is_handed_over_and_nothing_goes_on_after_a_stop(queued):
    limited, inner = queued(None, None, None, hands_over=True)
    told = inner.told_to_go_on
    inner.waiting.clear()
    limited.stop()
    limited.fill()
    assert inner.told_to_go_on == told
    assert waiting(inner) == []


def test_who_waits_for_slots_is_plenty_and_less_urgent_than_a_longer_path(queued):
    limited, _ = queued(*[None] * 9)
    assert not limited.has_plenty  # two run, seven wait, and four for each slot are plenty
    limited, _ = queued(*[None] * 10)
    assert limited.has_plenty
    assert limited.is_urgent(8.5)  # the longest path of those that wait is 8
    assert not limited.is_urgent(8.0)


def test_after_one_that_failed_at_once_nothing_else_is_handed_over(queued):
    """Whoever hears of it may stop."""
    limited, inner = queued(*[None] * 8)
    inner.hands_over = True
    tried = []

    def fail(work, done):
        tried.append(work)
        done(work, Outcome(ActionResult(status="setup", exit_code=1), cached=False))

    inner.run_next = fail
    limited.fill()
    assert len(tried) == 1


def test_what_fails_while_it_is_handed_over_gives_its_place_back(queued):
    """Where it cannot even be staged."""
    limited, inner = queued(None, None, None, None)
    ended = []
    inner.hands_over = True
    inner.run_next = lambda work, done: done(work, Outcome(ActionResult(status="setup", exit_code=1), cached=False))
    limited.fill()
    assert limited.running == 2
    while inner.running:
        ended.append(min(inner.running))
        inner.end(ended[-1])
        limited.fill()
    assert limited.running == 0
