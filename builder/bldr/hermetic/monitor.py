"""Measures what runs from outside and compares it with limits.

By the platform's counters, where it has any for a launch; else by looking at a tree of processes, which misses a peak
between two looks. It is for watching: the platform's limits are for stopping.
"""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from bldr.api import ResourceLimits, Usage, Verdict

if TYPE_CHECKING:
    import psutil


class Watched(Protocol):
    """A launch that can be watched: `bldr.hermetic.Process` is one."""

    @property
    def pid(self) -> int:
        """The command on this machine; -1 where nobody can tell."""

    @property
    def supervisor_pid(self) -> int:
        """A process of which all that belongs to the launch descends."""

    def measure(self) -> Usage | None:
        """The platform's counters; None where it has none."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The use at one instant. CPU time and bytes are those of all processes seen so far, the dead ones included.

    `read_bytes` and `written_bytes` are what reached disks; None where nobody can tell.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0
    memory_bytes: int = 0
    memory_peak_bytes: int = 0
    processes: int = 0
    processes_peak: int = 0
    read_bytes: int | None = None
    written_bytes: int | None = None


def create_monitor(limits: ResourceLimits) -> "ResourceMonitor":
    """A monitor that is not started yet."""
    return ResourceMonitor(limits)


class ResourceMonitor:
    """Watches a launch, or the descendants of a process: not itself and not those that it had before `start`.

    Used by one thread. `snapshot` measures; `is_violated` and `violations` tell what the snapshots so far found.
    """

    def __init__(self, limits: ResourceLimits) -> None:
        self._limits = limits
        self._tree: _Tree | None = None
        self._launch: Watched | None = None
        self._started_s = 0.0
        self._last = Snapshot()
        self._violations: dict[str, Verdict] = {}

    @property
    def is_running(self) -> bool:
        return self._tree is not None

    def start(self, target: int | Watched) -> None:
        """Watch a launch, or the descendants of a process by its number, from now on.

        A monitor may be started again; it forgets what it saw.
        """
        self._launch = None if isinstance(target, int) else target
        self._tree = _below(target) if isinstance(target, int) else _of_launch(target)
        self._started_s = time.monotonic()
        self._last = Snapshot()
        self._violations = {}

    def snapshot(self) -> Snapshot:
        """Measure now; after `stop`, what was measured last."""
        if self._tree is None:
            return self._last
        counted = self._launch.measure() if self._launch is not None else None
        use = counted or Usage()
        if None in (use.cpu_s, use.memory_bytes, use.processes):
            use = _completed(use, self._tree.look())
        memory_bytes, processes = use.memory_bytes or 0, use.processes or 0
        self._last = Snapshot(
            wall_s=time.monotonic() - self._started_s,
            cpu_s=max(use.cpu_s or 0.0, self._last.cpu_s),
            memory_bytes=memory_bytes,
            memory_peak_bytes=max(use.memory_peak_bytes or 0, memory_bytes, self._last.memory_peak_bytes),
            processes=processes,
            processes_peak=max(processes, self._last.processes_peak),
            read_bytes=use.read_bytes,
            written_bytes=use.written_bytes,
        )
        for verdict in exceeded(self._limits, self._last):
            self._violations.setdefault(verdict.limit, verdict)
        return self._last

    def stop(self) -> Snapshot:
        """Measure once more and watch no longer."""
        last = self.snapshot()
        self._tree = self._launch = None
        return last

    def is_violated(self) -> bool:
        return bool(self._violations)

    def violations(self) -> tuple[Verdict, ...]:
        """The first violation of each limit, in the order of their discovery."""
        return tuple(self._violations.values())


def exceeded(limits: ResourceLimits, use: Snapshot) -> tuple[Verdict, ...]:
    """The limits that are passed. Pure."""
    pairs = (
        ("memory", limits.memory_bytes, use.memory_peak_bytes, "bytes"),
        ("cpu", limits.cpu_time_s, use.cpu_s, "s"),
        ("processes", limits.processes, use.processes_peak, "processes"),
        ("wall-time", limits.wall_time_s, use.wall_s, "s"),
    )
    return tuple(
        Verdict(name, float(limit), float(used), unit)
        for name, limit, used, unit in pairs
        if limit is not None and used > limit
    )


def _completed(counted: Usage, seen: Usage) -> Usage:
    """The counters, and what was seen in place of those that are missing."""
    missing = {
        name: getattr(seen, name)
        for name in ("cpu_s", "memory_bytes", "processes", "read_bytes", "written_bytes")
        if getattr(counted, name) is None
    }
    return msgspec.structs.replace(counted, **missing)


class _Seen(NamedTuple):
    """What one process has used until it was last seen."""

    cpu_s: float
    read_bytes: int | None
    written_bytes: int | None


class _Tree:
    """The descendants of a process, but for those that are not to be counted."""

    def __init__(self, root: "psutil.Process", others: "frozenset[psutil.Process]") -> None:
        self._root = root
        self._others = others
        self._seen: dict[psutil.Process, _Seen] = {}

    def look(self) -> Usage:
        """What they use now, and have used as far as it was seen."""
        processes = [process for process in _descendants(self._root) if process not in self._others]
        memory = [self._measure(process) for process in processes]
        alive = [rss for rss in memory if rss is not None]
        return Usage(
            cpu_s=sum(seen.cpu_s for seen in self._seen.values()),
            memory_bytes=sum(alive),
            read_bytes=_sum(seen.read_bytes for seen in self._seen.values()),
            written_bytes=_sum(seen.written_bytes for seen in self._seen.values()),
            processes=len(alive),
        )

    def _measure(self, process: "psutil.Process") -> int | None:
        """The resident memory of a process; None where it is gone, or only its exit status is left."""
        import psutil

        try:
            with process.oneshot():
                if process.status() == psutil.STATUS_ZOMBIE:
                    return None
                times = process.cpu_times()
                read_bytes, written_bytes = _disk_use(process)
                self._seen[process] = _Seen(times.user + times.system, read_bytes, written_bytes)
                memory_bytes: int = process.memory_info().rss
                return memory_bytes
        except psutil.Error:
            return None


def _below(pid: int) -> _Tree:
    """The descendants that a process will have."""
    import psutil

    root = psutil.Process(pid)
    return _Tree(root, frozenset(_descendants(root)))


def _of_launch(launch: Watched) -> _Tree:
    """The command of a launch, with what it started and will start; nothing of what keeps the sandbox."""
    import psutil

    supervisor = psutil.Process(launch.supervisor_pid)
    try:
        command = psutil.Process(launch.pid) if launch.pid > 0 else None
    except psutil.NoSuchProcess:
        command = None
    if command is None:
        return _Tree(supervisor, frozenset())
    return _Tree(supervisor, frozenset(_descendants(supervisor)) - {command, *_descendants(command)})


def _descendants(root: "psutil.Process") -> "list[psutil.Process]":
    import psutil

    try:
        return root.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _disk_use(process: "psutil.Process") -> tuple[int | None, int | None]:
    """What a process read from disks and wrote to them; not every system tells, and not of every process."""
    import psutil

    try:
        counters = process.io_counters()
    except (psutil.AccessDenied, AttributeError):
        return None, None
    return counters.read_bytes, counters.write_bytes


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
