"""What a job object is told of a spec's limits, and which of them the system really took: pure but for `apply`."""

import contextlib
import math
import ntpath
from collections.abc import Sequence

import msgspec

from bldr.api import Isolation, Level, SandboxSpec
from bldr_unmounted.bounds import processes_at_most
from bldr_windows import win32
from bldr_windows.win32 import Extended, Rate, Win32

_TICKS_PER_S = 10_000_000
_FULL_RATE = 10_000
_USUAL_WEIGHT = 5  # of 1 to 9
_ALWAYS = win32.LIMIT_KILL_ON_JOB_CLOSE | win32.LIMIT_DIE_ON_UNHANDLED_EXCEPTION


class Settings(msgspec.Struct, frozen=True):
    """All that is set on a job."""

    extended: Extended
    rate: Rate


def settings(spec: SandboxSpec, processors: int) -> Settings:
    """What the spec asks for. Breaking away is never allowed: neither of its flags is ever set.

    Nothing of the user interface is restricted: such a job takes no jobs inside it, and goes into none.
    """
    limits = spec.resources
    memory_bytes = (limits.memory_bytes or 0) // win32.PAGE_BYTES * win32.PAGE_BYTES
    flags = _ALWAYS if spec.process.kill_on_parent_exit else _ALWAYS & ~win32.LIMIT_KILL_ON_JOB_CLOSE
    processes = processes_at_most(spec)
    extended = Extended(
        flags=flags
        | (win32.LIMIT_ACTIVE_PROCESS if processes is not None else 0)
        | (win32.LIMIT_JOB_TIME if limits.cpu_time_s is not None else 0)
        | (win32.LIMIT_JOB_MEMORY | win32.LIMIT_PROCESS_MEMORY if limits.memory_bytes is not None else 0),
        active_processes=0 if processes is None else processes + 1,  # the console's host may be in the job too
        job_user_time=math.ceil((limits.cpu_time_s or 0) * _TICKS_PER_S),
        process_memory_bytes=memory_bytes,
        job_memory_bytes=memory_bytes,
    )
    return Settings(extended, _rate(limits.cpus, limits.cpu_weight, processors))


def counted(programs: Sequence[str], windows: str) -> int:
    """How many of a job's processes count: Windows' own host of their console, which it starts by itself, does not."""
    host = ntpath.join(windows, "System32", "conhost.exe").lower()
    return sum(program.lower() != host for program in programs)


def apply(system: Win32, job: int, wanted: Settings) -> Settings:
    """Set everything, and return what the job says that it has."""
    # What is refused is seen by what is read back; one refusal keeps nothing else from being set.
    with contextlib.suppress(OSError):
        system.set_extended(job, wanted.extended)
    if wanted.rate.flags:
        with contextlib.suppress(OSError):
            system.set_rate(job, wanted.rate)
    had = Settings(Extended(), Rate())
    with contextlib.suppress(OSError):
        had = msgspec.structs.replace(had, extended=system.extended(job))
    with contextlib.suppress(OSError):
        had = msgspec.structs.replace(had, rate=system.rate(job))
    return had


def isolation(reachable: Isolation, wanted: Settings, had: Settings) -> Isolation:
    """What a launch reaches: what is always reachable here and, of the limits that it asks for, what its job has.

    The kernel counts user time only: the rest of "cpu" is looked at by this platform, which reads the same counters.
    Processes are counted by it too, since the kernel's limit is one higher.
    """
    asked, given = wanted.extended, had.extended
    found = dict(reachable)
    for name, flag, field, level in (
        ("memory", win32.LIMIT_JOB_MEMORY, "job_memory_bytes", Level.KERNEL),
        ("cpu", win32.LIMIT_JOB_TIME, "job_user_time", Level.SUPERVISED),
    ):
        if asked.flags & flag:
            took = given.flags & flag and getattr(asked, field) == getattr(given, field)
            found[name] = level if took else Level.NONE
    if asked.flags & win32.LIMIT_ACTIVE_PROCESS:
        found["processes"] = Level.SUPERVISED
    if wanted.rate.flags:
        found["cpu-share"] = Level.KERNEL if wanted.rate == had.rate else Level.NONE
    return {name: level for name, level in found.items() if level}


def _rate(cpus: float | None, weight: int | None, processors: int) -> Rate:
    """A cap, or else a weight: a job has one of the two."""
    if cpus is not None:
        value = max(1, min(_FULL_RATE, round(cpus / processors * _FULL_RATE)))
        return Rate(win32.RATE_ENABLE | win32.RATE_HARD_CAP, value)
    if weight is not None:  # 100 is usual, 1 the least and 10000 the most: the scale is one of powers of ten
        value = max(1, min(9, round(_USUAL_WEIGHT + 2 * math.log10(weight / 100))))
        return Rate(win32.RATE_ENABLE | win32.RATE_WEIGHT_BASED, value)
    return Rate()
