"""Starts one command as the leader of a session of its own, and ends it with everything that belongs to it."""

import contextlib
import ctypes
import math
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bldr.api import Launch, ResourceLimits
from bldr_unmounted.places import Command

if TYPE_CHECKING:
    import psutil

_OPEN_MAX = 10240
"""OPEN_MAX of <sys/syslimits.h> on macOS."""

_PAUSES_S = (0.001, 0.002, 0.005, 0.01, 0.02, *[0.05] * 40)
"""Between two looks at who is left; a kill takes effect when the kernel gets round to it."""


def spawn(argv: Sequence[str], command: Command, launch: Launch) -> "subprocess.Popen[bytes]":
    """Start `argv`, the first word a path, in the directory and environment of `command`.

    Raises OSError with the file that is missing or may not be run.
    """
    bounds = rlimits(launch.spec.resources)
    die_with_parent = _death_signal() if launch.spec.process.kill_on_parent_exit else None

    def prepare() -> None:
        for kind, soft, hard in bounds:
            _, ceiling = resource.getrlimit(kind)
            if ceiling != resource.RLIM_INFINITY:
                soft, hard = min(soft, ceiling), min(hard, ceiling)
            try:
                resource.setrlimit(kind, (soft, hard))
            except ValueError:  # macOS takes no number of files above a setting of the kernel's, but always this one
                if kind != resource.RLIMIT_NOFILE:
                    raise
                resource.setrlimit(kind, (min(soft, _OPEN_MAX), min(hard, _OPEN_MAX)))
        if die_with_parent is not None:
            die_with_parent()

    return subprocess.Popen(
        list(argv),
        stdin=launch.stdin,
        stdout=launch.stdout,
        stderr=launch.stderr,
        cwd=command.cwd,
        env=command.env,
        start_new_session=True,
        umask=launch.spec.process.umask,
        preexec_fn=prepare,  # this process has no thread that could hold a lock
    )


def _death_signal() -> Callable[[], None] | None:
    """Asks the kernel, where it can, to kill the calling process when its parent ends: PR_SET_PDEATHSIG of prctl(2)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(1, signal.SIGKILL)


def rlimits(limits: ResourceLimits) -> list[tuple[int, int, int]]:
    """Bounds of each single process, as (resource, soft, hard) of setrlimit(2).

    None for the number of processes: RLIMIT_NPROC counts every process of the user, also those outside.
    """
    bounds = [(resource.RLIMIT_CORE, 0, 0)]
    if limits.cpu_time_s is not None:
        seconds = max(1, math.ceil(limits.cpu_time_s))
        bounds.append((resource.RLIMIT_CPU, seconds, seconds + max(1, math.ceil(limits.grace_s))))
    for kind, value in (
        (resource.RLIMIT_DATA, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, min(filter(None, (limits.file_bytes, limits.disk_bytes)), default=None)),
        (resource.RLIMIT_NOFILE, limits.open_files),
    ):
        if value is not None:
            bounds.append((kind, value, value))
    return bounds


def find_executable(command: Command) -> str:
    """argv[0] as a path: one without a slash is looked up in the command's own PATH, never in the caller's."""
    name = command.argv[0]
    if "/" in name:
        return name
    for directory in command.env.get("PATH", "").split(":"):
        candidate = os.path.join(directory, name)
        if directory and os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    raise FileNotFoundError(2, "not found in PATH", name)


def signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM where only zombies are left
        os.killpg(pid, number)


def sees_processes() -> bool:
    """Whether the processes of this machine can be listed: on Linux where there is a /proc."""
    return sys.platform != "linux" or os.path.exists("/proc/self/stat")


def finds_daemons() -> bool:
    """Whether what left its session is found by its environment. Of programs that belong to the system, macOS shows
    that to nobody."""
    return sys.platform != "darwin" and sees_processes()


def end_all(leader: int, mark: tuple[str, str] | None, started_s: float) -> None:
    """Kill every process of the leader's session and every one that carries the mark, until none is left alive.

    The leader must not be reaped yet: as long as it is there, its number cannot become a stranger's group. `mark` is
    an environment entry that only this launch has; `started_s` is on the clock `time.time`. Where no processes can be
    listed, those of the leader's group are all that is found.
    """
    signal_group(leader, signal.SIGKILL)
    if not sees_processes():
        return
    for pause_s in _PAUSES_S:
        killed = [_kill(process) for process in _members(leader, mark, started_s)]
        if not any(killed):
            return
        time.sleep(pause_s)


def _kill(process: "psutil.Process") -> bool:
    """Whether there is something to wait for: not where it is gone meanwhile, or not ours to kill (set-uid)."""
    import psutil

    try:
        process.kill()
    except psutil.Error:
        return False
    return True


def _members(leader: int, mark: tuple[str, str] | None, started_s: float) -> "list[psutil.Process]":
    import psutil

    found = []
    for pid in psutil.pids():
        if pid in (leader, os.getpid()):
            continue
        try:
            process = psutil.Process(pid)
            if (os.getsid(pid) == leader or _carries(process, mark, started_s)) and _is_alive(process):
                found.append(process)
        except (psutil.Error, OSError):
            continue  # gone meanwhile, or another user's
    return found


def _carries(process: "psutil.Process", mark: tuple[str, str] | None, started_s: float) -> bool:
    if mark is None or process.create_time() < started_s - 1:  # the clock of start times ticks in hundredths
        return False
    name, value = mark
    return process.environ().get(name) == value


def _is_alive(process: "psutil.Process") -> bool:
    import psutil

    return process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
