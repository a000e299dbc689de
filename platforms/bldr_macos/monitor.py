"""What the processes of a launch use together, looked at again and again: macOS counts for single processes only.

What ends between two looks is missed, and so is what has left the session and lost its parent. proc_pid_rusage(3).
"""

import contextlib
import ctypes
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from bldr.api import Usage

if TYPE_CHECKING:
    import psutil

INTERVAL_S = 0.25
_WALK_INTERVAL_S = 1.0
"""Between two searches for those that left the session: each reads the whole table of processes."""

_RUSAGE_INFO_V2 = 2
_LIBRARY = "/usr/lib/libSystem.B.dylib"


class TreeSampling:
    """Samples a process, its session and its descendants; see `Sampling`. `footprint_bytes` says what memory one
    process holds that is its own, by its number; None where it is gone."""

    interval_s = INTERVAL_S

    def __init__(self, footprint_bytes: Callable[[int], int | None] | None = None) -> None:
        self._strays: dict[int, _Strays] = {}  # by leader
        self._children_s = darwin_children_s if sys.platform == "darwin" else _nothing_s
        self._footprint_bytes = footprint_bytes or (darwin_footprint if sys.platform == "darwin" else resident)

    def usage(self, leader: int) -> Usage | None:
        import psutil  # only where a limit is watched

        processes = self._family(leader)
        if not processes:
            return None
        cpu_s, memory_bytes, alive = 0.0, 0, 0
        for process in processes:
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                cpu_s += times.user + times.system + times.children_user + times.children_system
                cpu_s += self._children_s(process.pid)
                memory_bytes += self._footprint_bytes(process.pid) or 0
                alive += 1
        return Usage(cpu_s=cpu_s, memory_bytes=memory_bytes, processes=alive)

    def _family(self, leader: int) -> "list[psutil.Process]":
        """Of the leader's session, and what descends from one of it."""
        import psutil

        pids = psutil.pids()
        found = {pid: process for pid in pids if (process := _member(pid, leader)) is not None}
        known, now_s = self._strays.get(leader), time.monotonic()
        if known is None or now_s - known.found_s >= _WALK_INTERVAL_S:
            known = _Strays(now_s, _descendants(found, leader))
            there = set(pids)
            self._strays = {pid: strays for pid, strays in self._strays.items() if pid in there}
            self._strays[leader] = known
        found.update((process.pid, process) for process in known.processes)
        return [process for process in found.values() if _is_alive(process)]


def resident(pid: int) -> int | None:
    """What stands in memory, shared pages among it."""
    import psutil

    try:
        size: int = psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return None
    return size


def darwin_footprint(pid: int) -> int | None:
    """What the kernel charges the process for, compressed and swapped memory among it."""
    usage = _rusage(ctypes.CDLL(_LIBRARY, use_errno=True), pid)
    return None if usage is None else int(usage.phys_footprint)


def darwin_children_s(pid: int) -> float:
    """The processor time of children that the process has waited for, of which psutil says nothing on a Mac."""
    library = ctypes.CDLL(_LIBRARY, use_errno=True)
    usage, unit = _rusage(library, pid), _Timebase()
    if usage is None or library.mach_timebase_info(ctypes.byref(unit)) != 0:
        return 0.0
    return float((usage.child_user_time + usage.child_system_time) * unit.numer / unit.denom / 1e9)


def _nothing_s(_: int) -> float:
    """Where psutil knows."""
    return 0.0


def _rusage(library: ctypes.CDLL, pid: int) -> "_RusageInfo | None":
    usage = _RusageInfo()
    return usage if library.proc_pid_rusage(pid, _RUSAGE_INFO_V2, ctypes.byref(usage)) == 0 else None


class _Timebase(ctypes.Structure):
    """struct mach_timebase_info: the nanoseconds of one unit of the kernel's clock, as a fraction."""

    _fields_ = (("numer", ctypes.c_uint32), ("denom", ctypes.c_uint32))


class _RusageInfo(ctypes.Structure):
    """struct rusage_info_v2 of <sys/resource.h>."""

    _fields_ = (
        ("uuid", ctypes.c_uint8 * 16),
        ("user_time", ctypes.c_uint64),
        ("system_time", ctypes.c_uint64),
        ("pkg_idle_wkups", ctypes.c_uint64),
        ("interrupt_wkups", ctypes.c_uint64),
        ("pageins", ctypes.c_uint64),
        ("wired_size", ctypes.c_uint64),
        ("resident_size", ctypes.c_uint64),
        ("phys_footprint", ctypes.c_uint64),
        ("proc_start_abstime", ctypes.c_uint64),
        ("proc_exit_abstime", ctypes.c_uint64),
        ("child_user_time", ctypes.c_uint64),
        ("child_system_time", ctypes.c_uint64),
        ("child_pkg_idle_wkups", ctypes.c_uint64),
        ("child_interrupt_wkups", ctypes.c_uint64),
        ("child_pageins", ctypes.c_uint64),
        ("child_elapsed_abstime", ctypes.c_uint64),
        ("diskio_bytesread", ctypes.c_uint64),
        ("diskio_byteswritten", ctypes.c_uint64),
    )


class _Strays(NamedTuple):
    """What descended from a session and was not of it, when somebody looked."""

    found_s: float
    processes: "tuple[psutil.Process, ...]"


def _member(pid: int, session: int) -> "psutil.Process | None":
    import psutil

    try:
        return psutil.Process(pid) if os.getsid(pid) == session else None
    except (psutil.Error, OSError):  # gone meanwhile
        return None


def _descendants(session: "dict[int, psutil.Process]", leader: int) -> "tuple[psutil.Process, ...]":
    """From the leader down, and from those of its session that are not below it: their parents have ended."""
    import psutil

    found: dict[int, psutil.Process] = {}
    for pid in sorted(session, key=lambda pid: pid != leader):
        if pid not in found:
            with contextlib.suppress(psutil.Error):
                found.update((child.pid, child) for child in session[pid].children(recursive=True))
    return tuple(process for pid, process in found.items() if pid not in session)


def _is_alive(process: "psutil.Process") -> bool:
    import psutil

    try:
        return process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.Error:
        return False
