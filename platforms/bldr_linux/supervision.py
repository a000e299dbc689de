"""Watches one launch from outside for what the kernel does not end by itself, and says which limit was reached."""

from __future__ import annotations

import os
import stat
import time

from bldr_linux.written import Written

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any

    from bldr_linux.cgroups.group import CellGroup
    from bldr_linux.plan import Plan

    Verdict = tuple[str, float, float, str]  # limit, value, used, unit
else:
    import _signal

_FIRST_LOOK_S = 0.05
_INTERVAL_S = 0.2
# Walks through what was written may take this share of the time, as long as they are not too far apart for that.
_SHARE_OF_WALKS = 0.05
_WALK_AT_LEAST_EVERY_S = 4.0
_SLICE_S = 0.02  # of a walk, while whatever else happens waits
_BLOCK_BYTES = 512
# File systems reserve ahead of a file's end, but not that much of it.
_RESERVED_SHARE = 4

POLITELY = {"wall-time": _signal.SIGTERM, "cpu": _signal.SIGXCPU}
"""Limits that end a launch by a signal first; whoever goes past another one is not given more time to do so."""


class Supervisor:
    """Owns what must be remembered between two looks at a launch; `due_s` is when to look next, None for never."""

    def __init__(self, plan: Plan, outputs: tuple[int, ...], group: CellGroup, now_s: float) -> None:
        self._bounds = plan["bounds"]
        self._control = plan["control"]
        self._measured = plan["measured"] if {"output", "disk"} & self._bounds.keys() else ()
        self._group = group
        self._started_s = now_s
        self._logs = _logs(outputs) if "log" in self._bounds else []
        self._walk: Written | None = None
        self._walk_took_s = 0.0
        self._next_walk_s = now_s + _INTERVAL_S
        watched = self._bounds.keys() - {"wall-time", "file-size"} or self._control.keys() & {"memory", "processes"}
        self._look_s = now_s + _FIRST_LOOK_S if watched else None
        wall_time_s = self._bounds.get("wall-time")
        self._deadline_s = None if wall_time_s is None else now_s + wall_time_s

    @property
    def due_s(self) -> float | None:
        times = [at_s for at_s in (self._look_s, self._deadline_s) if at_s is not None]
        return min(times) if times else None

    def look(self, now_s: float) -> Verdict | None:
        """The first limit that is found to be reached."""
        if self._deadline_s is not None and now_s >= self._deadline_s:
            self._deadline_s = None
            return ("wall-time", self._bounds["wall-time"], now_s - self._started_s, "s")
        if self._look_s is None or now_s < self._look_s:
            return None
        used = self._of_group()
        # The polite ones come last: what is told during their grace must not hide behind them.
        found = self._of_group_hits(used) or self._of_log() or self._of_files(now_s) or self._of_cpu(used)
        self._look_s = now_s + (_INTERVAL_S if self._walk is None else 0.0)
        return found

    def last_look(self, used: dict[str, Any]) -> Verdict | None:
        """The same for a launch that has ended, from what it used; files are counted by whoever collects them."""
        verdict = self._of_group_hits(used) or self._of_cpu(used) or self._of_log()
        self.close()
        return verdict

    def close(self) -> None:
        """Give back the descriptors that were kept for looking."""
        if self._walk is not None:
            self._walk.close()
        for fd, _ in self._logs:
            os.close(fd)
        self._logs = []

    def _of_group(self) -> dict[str, Any]:
        needed = self._control.keys() & {"memory", "processes"} or "cpu" in self._bounds
        return self._group.measure() if needed else {}

    def _of_group_hits(self, used: dict[str, Any]) -> Verdict | None:
        if not self._control.keys() & {"memory", "processes"}:
            return None
        hits = self._group.hits()
        if "memory" in hits and "memory" in self._control:
            limit = self._control["memory"]
            return ("memory", limit, max(limit, used.get("memory_peak_bytes", 0)), "bytes")
        if "processes" in hits and "processes" in self._control:
            limit = self._control["processes"]
            return ("processes", limit, limit, "processes")
        return None

    def _of_cpu(self, used: dict[str, Any]) -> Verdict | None:
        limit_s, used_s = self._bounds.get("cpu"), used.get("cpu_s")
        return (
            ("cpu", limit_s, used_s, "s") if limit_s is not None and used_s is not None and used_s >= limit_s else None
        )

    def _of_log(self) -> Verdict | None:
        if not self._logs:
            return None
        size_bytes = sum(_length(fd) - before_bytes for fd, before_bytes in self._logs)
        limit_bytes = self._bounds["log"]
        return ("log", limit_bytes, size_bytes, "bytes") if size_bytes > limit_bytes else None

    def _of_files(self, now_s: float) -> Verdict | None:
        if not self._measured or (self._walk is None and now_s < self._next_walk_s):
            return None
        walk = self._walk = self._walk or Written(self._measured)
        is_unfinished = True
        while is_unfinished and (spent_s := time.monotonic() - now_s) < _SLICE_S:
            is_unfinished = walk.step()
        self._walk_took_s += spent_s
        for name, used in (("output", walk.sizes), ("disk", walk.occupied)):
            if name in self._bounds and used > self._bounds[name]:
                return (name, self._bounds[name], used, "bytes")
        if not is_unfinished:
            pause_s = min(self._walk_took_s / _SHARE_OF_WALKS, _WALK_AT_LEAST_EVERY_S)
            self._next_walk_s = now_s + max(pause_s, _INTERVAL_S)
            self._walk, self._walk_took_s = None, 0.0
        return None


def _logs(outputs: tuple[int, ...]) -> list[tuple[int, int]]:
    """Descriptors of our own of the regular files among the standard streams, each with its size so far."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for fd in outputs:
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode):
            found.setdefault((status.st_dev, status.st_ino), (fd, _length(fd)))
    return [(os.dup(fd), size_bytes) for fd, size_bytes in found.values()]


def _length(fd: int) -> int:
    """The size of a log, or what it occupies beyond its end (fallocate(2)) where that is out of proportion."""
    status = os.fstat(fd)
    return max(status.st_size, status.st_blocks * _BLOCK_BYTES // _RESERVED_SHARE)
