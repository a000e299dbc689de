"""What is watched from outside while a command runs: its time, and what its processes use where somebody samples it."""

import signal
import time

import msgspec

from bldr.api import SandboxSpec, Usage, Verdict
from bldr_unmounted.bounds import processes_at_most
from bldr_unmounted.confinement import Sampling


class Supervision:
    """Of one command. `due_s` is when to look next, on the clock `time.monotonic`; None: never."""

    def __init__(self, spec: SandboxSpec, began_s: float, sampling: Sampling | None) -> None:
        limits = spec.resources
        self.verdict: Verdict | None = None
        self._limits = limits
        self._processes = processes_at_most(spec)
        self._began_s = began_s
        are_sampled = not (limits.memory_bytes is limits.cpu_time_s is self._processes is None)
        self._sampling = sampling if are_sampled else None
        self._next_sample_s = began_s + sampling.interval_s if sampling and are_sampled else None
        self._deadline_s = None if limits.wall_time_s is None else began_s + limits.wall_time_s
        self._memory_peak_bytes = 0
        self._most_processes = 0

    @property
    def due_s(self) -> float | None:
        return min((due for due in (self._deadline_s, self._next_sample_s) if due is not None), default=None)

    def look(self, leader: int) -> int:
        """The signal that the command's group is to get now; 0: none."""
        now_s = time.monotonic()
        if self._sampling is not None and self._next_sample_s is not None and now_s >= self._next_sample_s:
            self._next_sample_s = now_s + self._sampling.interval_s
            if self._passes_a_limit(self.measured(self._sampling.usage(leader))):
                self._next_sample_s = self._deadline_s = None
                return signal.SIGKILL
        if self._deadline_s is None or now_s < self._deadline_s:
            return 0
        if self.verdict is not None:  # it was asked politely
            self._next_sample_s = self._deadline_s = None
            return signal.SIGKILL
        self._deadline_s = now_s + self._limits.grace_s
        self.verdict = Verdict("wall-time", self._limits.wall_time_s or 0.0, now_s - self._began_s, "s")
        return signal.SIGTERM

    def measured(self, sample: Usage | None) -> Usage | None:
        """A sample with what was the most of all until now."""
        if sample is None:
            return None
        self._memory_peak_bytes = max(self._memory_peak_bytes, sample.memory_bytes or 0)
        self._most_processes = max(self._most_processes, sample.processes or 0)
        return msgspec.structs.replace(
            sample,
            wall_s=time.monotonic() - self._began_s,
            memory_peak_bytes=self._memory_peak_bytes or None,
        )

    def ended(self, cpu_s: float, largest_bytes: int | None) -> Usage:
        """The whole use: what the kernel counted of those that were waited for, and samples where they say more."""
        return Usage(
            wall_s=time.monotonic() - self._began_s,
            cpu_s=cpu_s,
            memory_peak_bytes=max(largest_bytes or 0, self._memory_peak_bytes) or None,
            processes=self._most_processes or None,
        )

    def verdict_of(self, number: int, usage: Usage) -> Verdict | None:
        """Why it was ended, by this or, with the signal `number`, by the kernel."""
        limit_s, used_s = self._limits.cpu_time_s, usage.cpu_s or 0.0
        if self.verdict is not None or limit_s is None:
            return self.verdict
        is_killed = number == signal.SIGXCPU or (number == signal.SIGKILL and used_s >= limit_s)
        if not is_killed and used_s <= limit_s:  # children that ended between two looks are counted here
            return None
        # The kernel counts in two ways: the one that sends the signal may be ahead of the one that is reported.
        return Verdict("cpu", limit_s, max(limit_s, used_s), "s")

    def _passes_a_limit(self, usage: Usage | None) -> bool:
        """Also while the command has time to end by itself: the verdict stays that of the first limit."""
        if usage is None:
            return False
        limits = self._limits
        for name, limit, used, unit in (
            ("memory", limits.memory_bytes, usage.memory_bytes, "bytes"),
            ("cpu", limits.cpu_time_s, usage.cpu_s, "s"),
            ("processes", self._processes, usage.processes, "processes"),
        ):
            if limit is not None and used is not None and used > limit:
                self.verdict = self.verdict or Verdict(name, limit, used, unit)
                return True
        return False
