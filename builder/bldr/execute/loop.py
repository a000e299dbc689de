"""The loop: one thread that keeps the slots full, waits for the kernel, and never for a process.

The states of an action: waiting (for its inputs), ready, running (or queued for a slot), done, failed, skipped.
"""

import heapq
import selectors
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from types import FrameType

from bldr.api.actions import Artifact
from bldr.api.errors import CacheError
from bldr.api.sandbox import Launcher
from bldr.execute.runners import Cached, Limited, Outcome, Work
from bldr.execute.sandboxed import Sandboxed
from bldr.execute.sources import SourceError, Sources
from bldr.graph.actions import ActionGraph, ActionNode
from bldr.plan.entries import Entry, expand
from bldr.system.wakeup import Wakeup, open_wakeup

_TICK_S = 0.1
_STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
_MANY, _FEW = 256, 16  # actions that are looked up together


class Loop:
    """Does the actions of `nodes` (in an order in which each follows those that it needs).

    `finished` hears of every action that has its outcome; `tick` is called a few times a second, and `idle` whenever
    there is nothing else to do, until it returns False.
    """

    def __init__(
        self,
        graph: ActionGraph,
        nodes: Sequence[ActionNode],
        sources: Sources,
        runners: tuple[Cached, Limited, Sandboxed],
        finished: Callable[[Work, Outcome, int], None],
        tick: Callable[[], None],
        idle: Callable[[], bool],
        *,
        keep_going: bool,
    ) -> None:
        self._graph = graph
        self._sources = sources
        self._cached, self._limited, self._sandboxed = runners
        self._finished = finished
        self._tick = tick
        self._idle = idle
        self._keep_going = keep_going
        self._nodes = {node.index: node for node in nodes}
        self._missing = {node.index: len(node.deps) for node in nodes}
        self._users: dict[int, list[int]] = {}
        for node in nodes:
            for dep in node.deps:
                self._users.setdefault(dep, []).append(node.index)
        self._ready = [self._by_urgency(node.index) for node in nodes if not node.deps]  # a heap
        heapq.heapify(self._ready)
        self._done: deque[tuple[Work, Outcome]] = deque()
        self._unfinished = len(nodes)
        self._most = _FEW
        self._selector = selectors.DefaultSelector()
        self.entries: dict[str, tuple[Entry, ...]] = {}
        self.outcomes: dict[int, Outcome] = {}
        self.interrupted = False
        self._killed = False

    @property
    def unfinished(self) -> int:
        """How many actions still wait or run."""
        return self._unfinished

    def add_launcher(self, launcher: Launcher) -> None:
        """Listen to a launcher that was opened for this build."""
        self._selector.register(launcher.fileno(), selectors.EVENT_READ, launcher)

    def run(self) -> None:
        """Return when everything is done, or nothing more can be: after a failure, or when interrupted."""
        with _signals(self._note_interrupt) as wakeup:
            self._selector.register(wakeup, selectors.EVENT_READ)
            self._selector.register(self._sandboxed.hashing.fileno(), selectors.EVENT_READ, self._sandboxed)
            try:
                while self._unfinished and (self._advance() or self._limited.running):
                    self._wait(wakeup)
            finally:
                self._selector.close()
                # What decided the order is of no use any more, and of very many actions it is large.
                for known in (self._nodes, self._missing, self._users):
                    known.clear()

    def _advance(self) -> bool:
        """Finish and start whatever can be without waiting; False when nothing is left but what runs."""
        while True:
            if self.interrupted and not self._killed:
                self._interrupt()
            if self._sandboxed.all_good:
                self._limited.fill()  # first of all: what is ready needs nothing of what has ended
            self._sandboxed.collect()
            while self._done:
                self._finish(*self._done.popleft())
            if self._must_start():
                self._start()
            self._limited.fill()
            if not self._done and not self._must_start():
                return False
            if self._limited.running:
                self._poll(0)

    def _wait(self, wakeup: Wakeup) -> None:
        # now, that is while others run: never while a slot is free
        while self._limited.prepare() or self._sandboxed.tidy() or self._idle():
            if self._poll(0, wakeup):
                return
        if not self._poll(_TICK_S, wakeup):
            self._sandboxed.note_begun()
            self._tick()

    def _poll(self, timeout_s: float, wakeup: Wakeup | None = None) -> bool:
        ready = self._selector.select(timeout_s)
        for key, _ in ready:
            if key.data is self._sandboxed:
                self._sandboxed.hashing.finish()
            elif key.data is not None:
                self._sandboxed.reap(key.data)
            elif wakeup is not None:
                wakeup.clear()
        return bool(ready)

    def _must_start(self) -> bool:
        """Whether it is time to look up what is ready: together is cheaper, as long as the slots have enough to do and
        nothing is ready that should go first."""
        if not self._ready or len(self._ready) >= _FEW or not self._limited.has_plenty:
            return bool(self._ready)
        return self._limited.is_urgent(-self._ready[0][0])

    def _by_urgency(self, index: int) -> tuple[float, int]:
        return -self._limited.remaining_path_s.get(index, 0.0), index

    def _start(self) -> None:
        """Look up some of the actions that are ready: many at once, but few at first, for nothing runs until then, and
        while there may be others to reap."""
        most, self._most = _FEW if self._limited.running else self._most, _MANY
        nodes: list[ActionNode] = []
        while self._ready and len(nodes) < most:
            nodes.append(self._nodes[heapq.heappop(self._ready)[1]])
        works = [
            Work(node, tuple(self._expand(node.action.inputs)), tuple(self._expand(node.action.tools)))
            for node in self._with_sources(nodes)
        ]
        self._cached.run_all(works, lambda work, outcome: self._done.append((work, outcome)))

    def _with_sources(self, nodes: Sequence[ActionNode]) -> Sequence[ActionNode]:
        """Read what these actions need of the sources; those that can have it. The others are done."""
        try:
            self._read_sources(nodes)
        except (CacheError, SourceError) as error:
            if len(nodes) > 1:
                return [node for each in nodes for node in self._with_sources([each])]
            work = Work(nodes[0], (), ())
            self._done.append((work, self._sandboxed.refuse(work, error)))
            return ()
        return nodes

    def _read_sources(self, nodes: Sequence[ActionNode]) -> None:
        artifacts = chain(*((*node.action.inputs, *node.action.tools) for node in nodes))
        wanted = [each.path for each in artifacts if each.is_source and each.path not in self.entries]
        self._sources.read(wanted)
        for path in wanted:
            self.entries[path] = (self._sources.entry(path),)

    def _expand(self, artifacts: Sequence[Artifact]) -> list[Entry]:
        return expand(artifacts, self.entries)

    def _finish(self, work: Work, outcome: Outcome) -> None:
        node = work.node
        if node.test is not None or not outcome.result.is_ok:
            self.outcomes[node.index] = outcome  # of the rest nothing is asked later, and there may be very many
        self._unfinished -= 1
        if outcome.result.is_ok or node.test is not None:
            for output in node.action.outputs:
                self.entries[output.path] = outcome.result.entries_of(output)
        if outcome.result.is_ok:
            for user in self._users.get(node.index, ()):
                self._missing[user] -= 1
                if not self._missing[user]:
                    heapq.heappush(self._ready, self._by_urgency(user))
        elif not self._keep_going and node.test is None:
            self._stop()
        self._finished(work, outcome, self._unfinished)

    def _stop(self) -> None:
        self._ready.clear()
        self._limited.stop()
        self._sandboxed.recall()

    def _note_interrupt(self) -> None:
        """Runs inside the signal handler: anything that sends or allocates slots waits for the loop."""
        self.interrupted = True

    def _interrupt(self) -> None:
        self._killed = True
        self._stop()
        self._sandboxed.kill()


@contextmanager
def _signals(interrupt: Callable[[], None]) -> Iterator[Wakeup]:
    """What asks a build to end calls `interrupt`, and wakes the loop's selector by what is given."""
    wakeup = open_wakeup()

    def handle(_number: int, _frame: FrameType | None) -> None:
        interrupt()

    previous = {number: signal.signal(number, handle) for number in _STOPPING}
    previous_wakeup = signal.set_wakeup_fd(wakeup.writer, warn_on_full_buffer=False)
    try:
        yield wakeup
    finally:
        signal.set_wakeup_fd(previous_wakeup)
        for number, handler in previous.items():
            signal.signal(number, handler)
        wakeup.close()
