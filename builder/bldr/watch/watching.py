"""The process that watches: one loop around `poll`, which looks, orders builds and has questions answered."""

import os
import select
import signal
import time
from collections.abc import Callable, Collection, Iterable
from types import FrameType
from typing import Protocol

from bldr.system.wakeup import PipeWakeup
from bldr.watch.builder import Builder, Message
from bldr.watch.changes import Changes, Dependencies, reasons
from bldr.watch.opening import find_git_lock, is_locked
from bldr.watch.screen import Screen

INTERRUPTED = 8

QUIET_S = 0.03
"""Changes come together: a build starts when nothing came for so long (longer than a command that was started behind
the change takes to ask for it, so that one build does for both),"""

LATEST_S = 0.08
"""and when the first of them is so old, whatever comes."""

STORM_QUIET_S = 0.2
STORM_LATEST_S = 2.0
"""The same where changes kept coming while the last build ran."""

SETTLED_S = 0.15
"""A state that is younger than this may change again within the clock's granularity: nobody can remember it."""

_GIT_LATEST_S = 10.0
"""So long a lock of git's index holds a build off: git is changing the files."""

_AWAY_S = 0.05
"""How often is looked for a workspace that is gone."""

_LOOK_S = 0.5
"""How often is looked whether the root is still where it was. Nobody tells while somebody stands in it, or of what is
renamed above it."""

_POLITE_S = 0.4
_PATIENT_S = 20.0


class Source(Protocol):
    """Where changes come from: `Tree` or `PortableTree`."""

    root: str
    exact: bool
    fresh: set[str]

    def fileno(self) -> int: ...
    def read(self) -> Changes: ...
    def follow(self, directories: Iterable[str], ignored: Collection[str]) -> list[str]: ...
    def close(self) -> None: ...


class Answers(Protocol):
    """Who answers the questions of other commands: `Server`."""

    def descriptors(self) -> list[int]: ...
    def owned(self) -> list[int]: ...
    def due_s(self) -> float | None: ...
    def watched(self, source: Source | None) -> None: ...
    def note(self, changes: Changes) -> None: ...
    @property
    def want_a_build(self) -> bool: ...
    def begun(self, at_ns: int, *, changed: bool) -> bool: ...
    def ended(self, shared: Message | None) -> None: ...
    def built(self) -> None: ...
    def serve(self, ready: Collection[int], look: Callable[[], Changes]) -> None: ...
    def prove(self, look: Callable[[], Changes], *, idle: bool) -> None: ...
    def close(self) -> None: ...


class Watching:
    """Owns the watches of the workspace at `root` while `run` runs; `open_source` begins to watch it.

    `open_source` raises FileNotFoundError where the root is not there.
    """

    def __init__(
        self,
        root: str,
        open_source: Callable[[], Source],
        builder: Builder,
        screen: Screen,
        answers: Answers | None = None,
    ) -> None:
        self._root = root
        self._open_source = open_source
        self._builder = builder
        self._screen = screen
        self._answers = answers
        self._git_lock = find_git_lock(root)
        self._source: Source | None = None
        self._dependencies = Dependencies()
        self._changes = Changes()  # since the last order
        self._reasons: list[str] = []
        self._due = True
        self._first_s = self._last_s = 0.0  # when changes that matter came; 0 for none
        self._stormy = False
        self._identity: tuple[int, int] | None = None
        self._looked_s = 0.0  # when the root was looked at last
        self._settle_s = 0.0  # when to build again only because a build that comes too soon proves nothing
        self._is_settling = False
        self._ending = 0
        builder.foreign = self._owned

    def run(self) -> int:
        """Build and watch until a signal ends it; the exit code."""
        wakeup = PipeWakeup()
        signal.set_wakeup_fd(wakeup.writer, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._note_signal)
        try:
            self._builder.start()
            self._open()
            while not self._ending:
                if not self._builder.busy and self._is_time():
                    self._order()
                self._take(self._wait(wakeup.fileno()))
                if self._answers is not None:
                    self._answers.prove(self._look, idle=self._is_idle())
            if self._answers is not None:
                self._answers.watched(None)
            self._end()
            return INTERRUPTED
        finally:
            if self._answers is not None:
                self._answers.close()
            self._close_source()
            self._builder.close()

    def _note_signal(self, number: int, _frame: FrameType | None) -> None:
        self._ending = number

    # Waiting

    def _wait(self, wakeup: int) -> set[int]:
        poll = select.poll()
        for descriptor in (wakeup, self._builder.fileno(), *(self._answers.descriptors() if self._answers else ())):
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
        if self._source is not None:
            poll.register(self._source.fileno(), select.POLLIN)
        return {descriptor for descriptor, _ in poll.poll(self._timeout_ms())}

    def _timeout_ms(self) -> float:
        if self._source is None:
            return _AWAY_S * 1000
        if self._builder.busy:
            return _LOOK_S * 1000
        due_s = [self._due_s()] if self._first_s else []
        due_s += [self._settle_s] if self._settle_s else []
        proof_s = self._answers.due_s() if self._answers is not None else None
        if proof_s is not None and not due_s:
            due_s.append(proof_s)
        return min(max(min(due_s, default=float("inf")) - time.monotonic(), 0.001), _LOOK_S) * 1000

    def _is_idle(self) -> bool:
        return not (self._builder.busy or self._due or self._first_s or self._settle_s or self._is_asked())

    def _is_asked(self) -> bool:
        return self._answers is not None and self._answers.want_a_build

    def _due_s(self) -> float:
        quiet_s, latest_s = (STORM_QUIET_S, STORM_LATEST_S) if self._stormy else (QUIET_S, LATEST_S)
        if is_locked(self._git_lock):
            return time.monotonic() + quiet_s
        return min(self._last_s + quiet_s, self._first_s + latest_s)

    def _is_time(self) -> bool:
        if self._source is None:
            return False
        self._is_settling = False
        if self._due or self._is_asked():
            return True
        now_s = time.monotonic()
        if not self._first_s:
            self._is_settling = bool(self._settle_s) and self._settle_s <= now_s
            return self._is_settling
        return self._due_s() <= now_s or now_s - self._first_s > _GIT_LATEST_S

    def _take(self, ready: set[int]) -> None:
        """Do what there is to do: look first, because a report and a question mean the state of now."""
        if self._source is None:
            self._return()
        elif self._source.fileno() in ready:
            self._look()
        if self._source is not None and time.monotonic() - self._looked_s >= _LOOK_S:
            self._looked_s = time.monotonic()
            if _identity(self._root) != self._identity:
                self._leave()
        if self._builder.fileno() in ready:
            self._finish()
        if self._answers is not None:
            self._answers.serve(ready, self._look)

    # Changes

    def _look(self) -> Changes:
        """Take in whatever happened until now."""
        if self._source is None:
            changes = Changes()
            changes.gone = True
            return changes
        changes = self._source.read()
        if not changes:
            return changes
        self._changes.add(changes)
        if self._answers is not None:
            self._answers.note(changes)
        if changes.gone:
            self._leave()
        elif not self._builder.busy:
            self._weigh(changes)
        return changes

    def _weigh(self, changes: Changes) -> None:
        """See whether these changes are a reason to build."""
        assert self._source is not None
        found = reasons(changes, self._dependencies, self._source.fresh)
        if not found and not changes.lost:
            return
        self._reasons += found
        self._last_s = time.monotonic()
        self._first_s = self._first_s or self._last_s

    # Building

    def _order(self) -> None:
        assert self._source is not None
        if self._builder.fileno() < 0 and not self._source.exact:  # has a thread, beside which nobody forks
            self._close_source()
            self._builder.start()
            self._open()
            if self._source is None:
                return
        as_of_ns, at_ns = time.time_ns(), time.monotonic_ns()
        self._look()
        if self._source is None:
            return
        has_cause = bool(self._due or self._first_s)  # or else somebody asks, or it is to settle
        self._is_settling &= not has_cause
        asked = self._answers is not None and self._answers.begun(at_ns, changed=has_cause)
        changes, self._changes = self._changes, Changes()
        known = self._source.exact and not changes.lost
        why = sorted(set(self._reasons))
        self._reasons = []
        self._due, self._first_s, self._settle_s = False, 0.0, 0.0
        self._source.fresh.clear()
        held = self._screen.begin(why, lost=changes.lost, quietly=not has_cause)
        self._builder.order(
            {
                "known": known,
                "as_of_ns": as_of_ns,
                "modified": list(changes.modified),
                "listed": list(changes.listed),
                "held": held,
                "settling": self._is_settling,
                "asked": asked,
            }
        )

    def _finish(self) -> None:
        """Take a report, and see whether something came meanwhile that asks for another build."""
        if not self._builder.busy:  # ended while it had nothing to do
            self._builder.ending()
            return
        report = self._builder.report()
        if report is None:
            if not self._ending:
                self._screen.crashed(self._builder.ending())
            report = {"exit_code": 70, "ran": 0}
        if self._answers is not None:
            self._answers.ended(report.get("shared"))
        self._stormy = False
        if not report.get("same"):
            self._dependencies = _dependencies(report)
        if self._source is not None:
            if self._dependencies.directories is not None and not report.get("same"):
                fresh = self._source.follow(self._dependencies.directories, report["ignored"])
                self._due |= bool(fresh)  # nobody knows what happened in them before they were watched
            self._weigh(self._changes)
            self._stormy = bool(self._first_s)
        if self._due or self._first_s:
            return
        if report["exit_code"] == 0 and not report["remembered"] and not self._is_settling:
            self._settle_s = time.monotonic() + SETTLED_S
        elif self._answers is not None:
            self._answers.built()
        self._screen.wait(report)

    # A workspace that goes and returns

    def _open(self) -> None:
        try:
            self._source = self._open_source()
        except FileNotFoundError:
            return  # is looked for again and again
        self._identity = _identity(self._root)
        self._due = True
        self._changes.lost = True
        if self._answers is not None:
            self._answers.watched(self._source)

    def _leave(self) -> None:
        self._close_source()
        self._dependencies = Dependencies()
        self._reasons = []
        self._first_s = 0.0
        self._screen.gone(self._root)
        if self._answers is not None:
            self._answers.watched(None)

    def _return(self) -> None:
        if os.path.isdir(self._root):
            self._open()
            if self._source is not None:
                self._screen.returned(self._root)

    def _owned(self) -> list[int]:
        """What only this process has to do with."""
        owned = [] if self._source is None else [self._source.fileno()]
        return owned + (self._answers.owned() if self._answers is not None else [])

    def _close_source(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None

    # The end

    def _end(self) -> None:
        """Let a build that runs end as it would: a terminal has told it too, and who else must be told is."""
        for number, patience_s in ((0, _POLITE_S), (signal.SIGTERM, _PATIENT_S), (signal.SIGKILL, _PATIENT_S)):
            if not self._builder.busy:
                break
            if number:
                self._builder.interrupt(number)
            poll = select.poll()
            poll.register(self._builder.fileno(), select.POLLIN)
            if poll.poll(patience_s * 1000):
                self._builder.report()
        self._screen.interrupted()


def _identity(root: str) -> tuple[int, int] | None:
    """Which directory stands at a path."""
    try:
        status = os.stat(root)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _dependencies(report: Message) -> Dependencies:
    return Dependencies(report.get("directories"), report.get("files"))
