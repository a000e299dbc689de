"""The listener behind `--profile FILE`: a Chrome trace in which slots are threads and actions are complete events.

The format is the JSON array of the "Trace Event Format"; its closing bracket may be missing, so that the trace of a
build that was killed opens as well. Times are in microseconds.
"""

import heapq
from typing import Any

import msgspec

from bldr.api.errors import BldrError
from bldr.api.events import (
    ActionFinished,
    ActionStarted,
    AnalysisFinished,
    BuildFinished,
    BuildStarted,
    Event,
    TestFinished,
)
from bldr.printable import escaped
from bldr.report.sentences import action_title

PROCESS = 1
ENGINE = 0
"""The thread that shows what concerns the build as a whole; the slots count from 1."""


class TraceListener:
    """Owns the file and which slot shows which running action."""

    def __init__(self, path: str) -> None:
        """Open `path`. Raises BldrError where that is impossible."""
        try:
            self._file = open(path, "wb")  # noqa: SIM115 - closed by `close`
        except OSError as error:
            hint = "name a file in a directory that exists"
            raise BldrError(f'cannot write the profile to "{escaped(path)}": {error.strerror}', hint) from error
        self._separator = b"[\n"
        self._running: dict[int, tuple[int, ActionStarted]] = {}
        self._free: list[int] = []
        self._slots = 0
        self._cached = 0
        self._write(ph="M", name="process_name", tid=ENGINE, args={"name": "bldr"})
        self._write(ph="M", name="thread_name", tid=ENGINE, args={"name": "build"})

    def on_event(self, event: Event) -> None:
        """Append what the event adds to the picture."""
        if isinstance(event, ActionStarted):
            self._running[event.action_id] = (self._take_slot(), event)
            self._count(event.time_s)
        elif isinstance(event, ActionFinished):
            self._action_finished(event)
        elif isinstance(event, BuildStarted):
            name = " ".join(["bldr", event.command, *event.patterns])
            self._write(ph="M", name="process_labels", tid=ENGINE, args={"labels": name})
        elif isinstance(event, AnalysisFinished):
            args = {"targets": event.targets, "actions": event.actions, "tests": event.tests}
            self._complete("load and analyse", ENGINE, 0.0, event.time_s, args)
        elif isinstance(event, TestFinished):
            self._instant(f"{event.label} {event.status}", event.time_s)
        elif isinstance(event, BuildFinished):
            self._count(event.time_s)
            args = {"ran": event.ran, "cached": event.cached, "failed": event.failed, "exit_code": event.exit_code}
            self._complete("build", ENGINE, 0.0, event.time_s, args)

    def close(self) -> None:
        """End the list and close the file."""
        if not self._file.closed:
            self._file.write(b"\n]\n")
            self._file.close()

    def _take_slot(self) -> int:
        if self._free:
            return heapq.heappop(self._free)
        self._slots += 1
        args = {"name": f"slot {self._slots}"}
        self._write(ph="M", name="thread_name", tid=self._slots, args=args)
        self._write(ph="M", name="thread_sort_index", tid=self._slots, args={"sort_index": self._slots})
        return self._slots

    def _action_finished(self, event: ActionFinished) -> None:
        self._cached += event.cached
        if event.action_id not in self._running:  # cached: it never had a slot
            return
        slot, started = self._running.pop(event.action_id)
        heapq.heappush(self._free, slot)
        usage = {name: value for name, value in msgspec.to_builtins(event.usage).items() if value is not None}
        args = {
            "label": event.label,
            "mnemonic": event.mnemonic,
            "status": event.status,
            "exit_code": event.exit_code,
            "reason": started.reason,
            "process_s": event.duration_s,
            **usage,
            "limits": event.limits,
            **({"verdict": str(event.verdict)} if event.verdict else {}),
        }
        title = action_title(started.label, started.mnemonic, started.message)
        self._complete(title, slot, started.time_s, event.time_s, args, event.mnemonic)
        self._count(event.time_s)

    def _complete(
        self, name: str, thread: int, start_s: float, end_s: float, args: dict[str, Any], category: str = "build"
    ) -> None:
        start_us = _microseconds(start_s)
        duration_us = _microseconds(end_s) - start_us
        self._write(ph="X", name=name, cat=category, tid=thread, ts=start_us, dur=duration_us, args=args)

    def _instant(self, name: str, time_s: float) -> None:
        self._write(ph="i", name=name, s="p", tid=ENGINE, ts=_microseconds(time_s))

    def _count(self, time_s: float) -> None:
        time_us = _microseconds(time_s)
        self._write(ph="C", name="running actions", tid=ENGINE, ts=time_us, args={"running": len(self._running)})
        self._write(ph="C", name="cached actions", tid=ENGINE, ts=time_us, args={"cached": self._cached})

    def _write(self, **fields: Any) -> None:
        self._file.write(self._separator + msgspec.json.encode({**fields, "pid": PROCESS}))
        self._separator = b",\n"


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)
