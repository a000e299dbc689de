"""The runner stack: `cached(attempts(limited(sandboxed)))`, small runners around one method `run`.

No runner blocks: each is told by a callback when the runner that it wraps is done with an action.
"""

import heapq
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from bldr.api.actions import Platform
from bldr.api.sandbox import Isolation
from bldr.execute.history import History, Past
from bldr.execute.result import ActionResult, decode_checked, encode
from bldr.execute.slots import Demand, Slots, demand_of
from bldr.graph.actions import ActionNode
from bldr.graph.test_parts import Reuse, why_not_reused
from bldr.hermetic.policy import covers
from bldr.plan.entries import Entry
from bldr.plan.explain import differences, summary
from bldr.plan.key import action_key, paths_key, reads_key, record
from bldr.store.store import Store

_PATIENCE = 4
_PLENTY = 4  # actions that wait, for each slot


class Work(msgspec.Struct, frozen=True):
    """An action whose inputs are all known. `key` is that of the first level, once it is known."""

    node: ActionNode
    inputs: tuple[Entry, ...]
    tools: tuple[Entry, ...]
    reason: str = ""
    key: str = ""
    attempt: int = 1


class Outcome(msgspec.Struct, frozen=True):
    """What came of an action, and whether it had to run for it; `earlier` are its attempts that failed before."""

    result: ActionResult
    cached: bool
    earlier: tuple[ActionResult, ...] = ()


Done = Callable[[Work, Outcome], None]


class Runner(Protocol):
    """Does one action at a time or many; calls `done` exactly once for each, now or later."""

    def run(self, work: Work, done: Done) -> None: ...


class _Offer(NamedTuple):
    """What the store has for one action: results that are strong enough and whole, whether there is a weaker one, and
    whether there is a strong one, be it whole or not."""

    results: list[ActionResult]
    weaker: bool
    strong: bool


def _offer(
    work: Work,
    stored: Mapping[str, Sequence[tuple[Isolation, bytes]]],
    keys: Sequence[str],
    floor: Isolation,
    enough: dict[tuple[int, int], bool],
) -> _Offer:
    """What of `stored` is for this action, which must have reached `floor`. `enough` remembers comparisons."""
    results: list[ActionResult] = []
    weaker = strong = False
    for key in keys:
        for isolation, data in stored[key]:
            pair = (id(isolation), id(floor))
            if pair not in enough:
                enough[pair] = covers(isolation, floor)
            if not enough[pair]:
                weaker = True
                continue
            strong = True
            result = decode_checked(data, work.node)
            if result is not None:
                results.append(result)
    return _Offer(results, weaker, strong)


class Cached:
    """Serves results from the store, and stores those that are worth it: only what succeeded.

    `floor` is the isolation that a stored result must have reached at least, for a given action.
    """

    def __init__(
        self,
        inner: Runner,
        store: Store,
        history: History,
        platform: Platform,
        floor: Callable[[ActionNode], Isolation],
        *,
        reuse_tests: Reuse = "yes",
    ) -> None:
        self._inner = inner
        self._store = store
        self._history = history
        self._platform = platform
        self._floor = floor
        self._reuse_tests = reuse_tests

    def run(self, work: Work, done: Done) -> None:
        self.run_all([work], done)

    def run_all(self, works: Sequence[Work], done: Done) -> None:
        """Do many, with few questions to the store for all of them."""
        works = [self._with_key(work) for work in works]
        found, reasons = self._look_up(works)
        for work in works:
            result = found.get(work.node.index)
            if result is not None:
                done(work, Outcome(result, cached=True))
                continue
            work = Work(work.node, work.inputs, work.tools, reasons[work.node.index], work.key)
            self._inner.run(work, lambda work, outcome: self._keep(work, outcome, done))

    def find(self, work: Work) -> tuple[ActionResult | None, str]:
        """The stored result that will do, or None and the reason why there is none."""
        found, reasons = self._look_up([self._with_key(work)])
        index = work.node.index
        return found.get(index), reasons.get(index, "")

    def _look_up(self, works: Sequence[Work]) -> tuple[dict[int, ActionResult], dict[int, str]]:
        """The stored results that will do, and for the rest the reasons; by the index of the nodes."""
        refused = {work.node.index: why for work in works if (why := why_not_reused(work.node, self._reuse_tests))}
        asked = [work for work in works if work.node.index not in refused]
        keys = self._keys(asked)
        stored = self._store.results.get_many(key for some in keys.values() for key in some)
        floors = [self._floor(work.node) for work in asked]
        enough: dict[tuple[int, int], bool] = {}  # by identity, while both sides are held here
        offers = {
            work.node.index: _offer(work, stored, keys[work.node.index], floor, enough)
            for work, floor in zip(asked, floors, strict=True)
        }
        first = [offer.results[0] for offer in offers.values() if offer.results]
        lost = self._store.blobs.lost(blob for result in first for blob in result.blobs())
        found: dict[int, ActionResult] = {}
        for index, (results, _, _) in offers.items():
            for result in results:
                if not lost or not self._store.blobs.lost(result.blobs()):
                    found[index] = result
                    break
        reasons = refused
        if len(found) < len(asked):
            missed = [work for work in asked if work.node.index not in found]
            reasons.update(self._reasons(missed, keys, offers))
        return found, reasons

    def _reasons(
        self, works: Sequence[Work], keys: Mapping[int, Sequence[str]], offers: Mapping[int, _Offer]
    ) -> Iterator[tuple[int, str]]:
        """Why actions that were asked for have no result that will do."""
        evicted = self._store.results.tombstones(key for work in works for key in keys[work.node.index])
        past = self._history.past([work.node.name for work in works])
        for work in works:
            index = work.node.index
            when = next((evicted[key] for key in keys[index] if key in evicted), None)
            if offers[index].weaker:
                reason = "the stored result was made with weaker isolation"
            elif when is not None:
                day = time.strftime("%A, %Y-%m-%d", time.localtime(when))
                reason = f"the stored result was taken by garbage collection on {day}"
            elif offers[index].strong:
                reason = "files of the stored result are gone from the cache"
            else:
                reason = self._difference(work, past[work.node.name])
            yield index, reason

    def _with_key(self, work: Work) -> Work:
        make = paths_key if work.node.action.depfile else action_key
        key = make(work.node, self._platform, work.inputs, work.tools)
        return Work(work.node, work.inputs, work.tools, key=key)

    def _keys(self, works: Sequence[Work]) -> dict[int, list[str]]:
        """The keys under which results of these actions may be, by the index of their nodes."""
        reads = self._history.reads_many([work.key for work in works if work.node.action.depfile])
        found = {}
        for work in works:
            keys = [work.key]
            if work.node.action.depfile:
                second = (reads_key(work.key, work.inputs, names) for names in reads[work.key])
                keys = [key for key in second if key is not None]
            found[work.node.index] = keys
        return found

    def _difference(self, work: Work, past: Past) -> str:
        if past.failure:
            return f"it failed when it last ran ({past.failure}), and failures are not kept"
        last = past.last
        if last is None:
            return "it never ran before"
        now = record(work.node, self._platform, work.inputs, work.tools)
        return summary(differences(last.seen, now, last.reads)) or "its last run left no result to use"

    def _keep(self, work: Work, outcome: Outcome, done: Done) -> None:
        result = outcome.result
        if result.is_ok and outcome.earlier:
            self._history.failed(work.node.name, f"it passed only at attempt {len(outcome.earlier) + 1}")
        elif result.is_ok:
            if work.node.test is None or not work.node.test.always:
                self._store.results.put(self._new_key(work, result), result.isolation, encode(result), result.blobs())
            seen = record(work.node, self._platform, work.inputs, work.tools)
            self._history.ran(work.node.name, seen, result.reads, result.usage)
        elif result.status != "interrupted":
            self._history.failed(work.node.name, result.message)
        done(work, outcome)

    def _new_key(self, work: Work, result: ActionResult) -> str:
        if not work.node.action.depfile:
            return work.key
        assert result.reads is not None, "the key of the first level alone does not cover what was read"
        self._history.add_reads(work.key, result.reads)
        key = reads_key(work.key, work.inputs, result.reads)
        assert key is not None, "reads are among the inputs"
        return key


class Ahead(Runner, Protocol):
    """A runner that can do something for an action before there is a slot for it."""

    def prepare(self, work: Work) -> bool:
        """Do what can be done; False where there is nothing."""

    def can_run_next(self, work: Work) -> bool:
        """Whether `run_next` would do better than to wait for a slot and `run`."""

    def run_next(self, work: Work, done: Done) -> None:
        """Run it as soon as one of those that run has ended."""

    def go_on(self) -> None:
        """An action that did not end well is no reason to stop: what waits for its place may have it."""


class Limited:
    """Keeps the slots full; actions with the longest remaining path go first.

    One that does not fit beside what runs is passed over, but not for ever: after `_PATIENCE` others for each slot,
    nothing starts before it.
    """

    def __init__(
        self,
        inner: Ahead,
        slots: Slots,
        remaining_path_s: Mapping[int, float],
        needs: Mapping[str, tuple[float, int]],
    ) -> None:
        self._inner = inner
        self._prepared: set[int] = set()
        self._held: dict[int, Demand] = {}  # by the indexes of nodes
        self._slots = slots
        self.remaining_path_s = remaining_path_s
        self._needs = needs
        self._queue: list[tuple[float, int, Work, Done]] = []
        self._passed_over = 0
        self._stopped = False

    def run(self, work: Work, done: Done) -> None:
        index = work.node.index
        heapq.heappush(self._queue, (-self.remaining_path_s.get(index, 0.0), index, work, done))

    @property
    def running(self) -> int:
        return self._slots.running

    @property
    def has_plenty(self) -> bool:
        """Whether the slots are kept busy for a while by what waits for them."""
        return self._slots.full and len(self._queue) >= _PLENTY * self._slots.number

    def is_urgent(self, remaining_path_s: float) -> bool:
        """Whether an action with so much before it would go before all that wait."""
        return not self._queue or -remaining_path_s < self._queue[0][0]

    def fill(self) -> None:
        """Start what fits into the free slots, and hand over what comes next."""
        if not self._stopped:
            self._inner.go_on()
        passed: list[tuple[float, int, Work, Done]] = []
        while self._queue and not self._slots.full and not self._stopped:
            item = heapq.heappop(self._queue)
            work, done = item[2:]
            demand = self._demand(work)
            if self._slots.fits(demand):
                self._start(work, done, demand, is_first=not passed)
                continue
            passed.append(item)
            if self._passed_over >= _PATIENCE * self._slots.number:
                break
        for item in passed:
            heapq.heappush(self._queue, item)
        if not passed:
            self._fill_ahead()

    def _fill_ahead(self) -> None:
        while self._queue and not self._stopped:
            _, index, work, done = self._queue[0]
            demand = self._demand(work)
            if not (self._slots.fits_next(demand) and self._inner.can_run_next(work)):
                return
            heapq.heappop(self._queue)
            running = self._slots.running
            self._take(index, demand)
            self._inner.run_next(work, partial(self._finish, done=done))
            if self._slots.running == running:  # it failed already, and whoever hears of that may stop
                return

    def _demand(self, work: Work) -> Demand:
        return demand_of(work.node, self._needs.get(work.node.name) if self._needs else None)

    def _start(self, work: Work, done: Done, demand: Demand, *, is_first: bool) -> None:
        self._passed_over = 0 if is_first else self._passed_over + 1
        self._take(work.node.index, demand)
        self._inner.run(work, partial(self._finish, done=done))

    def _take(self, index: int, demand: Demand) -> None:
        self._slots.take(demand)
        self._held[index] = demand
        self._prepared.discard(index)

    def prepare(self) -> bool:
        """Get the action ready that starts next, while all slots are taken; False where there is nothing to do."""
        if not self._queue or self._stopped or len(self._prepared) >= self._slots.number:
            return False
        _, index, work, _ = self._queue[0]
        if index in self._prepared:
            return False
        self._prepared.add(index)  # where it fails, too: it is tried again when it starts, and then said
        return self._inner.prepare(work)

    def release(self, work: Work) -> None:
        """The action has ended, whatever is still to be done with what it made: its place is free."""
        demand = self._held.pop(work.node.index, None)
        if demand is not None:
            self._slots.give_back(demand)

    @property
    def stopped(self) -> bool:
        """Whether nothing more starts."""
        return self._stopped

    def stop(self) -> Sequence[Work]:
        """Start nothing more; returns what was still waiting."""
        self._stopped = True
        waiting = [work for _, _, work, _ in self._queue]
        self._queue.clear()
        return waiting

    def _finish(self, work: Work, outcome: Outcome, done: Done) -> None:
        self.release(work)
        done(work, outcome)
