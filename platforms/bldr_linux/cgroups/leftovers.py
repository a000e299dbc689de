"""Ends what lives in groups and removes them; finds the groups of owners that died without doing so."""

import contextlib
import os
import re
import signal
import time

from bldr_linux.cgroups import files

_PATIENCE_S = 10.0
_PAUSE_S = 0.002
_NAME = re.compile(r"bldr-(\d+)-(\d+)-(\d+)-(\d+)")


def name_of_owner(count: int) -> str:
    """The name of a top group of this process: its pid, when it started, and the namespace where the pid holds."""
    pid = os.getpid()
    return f"bldr-{pid}-{_start_ticks(pid)}-{_pid_namespace()}-{count}"


def remove_stale(directory: str) -> None:
    """Remove the top groups in a directory whose owner is dead."""
    if not os.access(directory, os.W_OK):
        return  # somebody else's, who will
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for name in [entry.name for entry in entries]:
            if _is_stale(name):
                end(f"{directory}/{name}")


def _is_stale(name: str) -> bool:
    match = _NAME.fullmatch(name)
    if match is None:
        return False
    pid, ticks, namespace, _ = map(int, match.groups())
    # Of another namespace's owner nothing can be known here.
    return namespace == _pid_namespace() and _start_ticks(pid) != ticks


def _start_ticks(pid: int) -> int:
    """When a process started, -1 for one that is dead: with its pid, a name that is never given twice."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return -1
    return -1 if fields[0] in (b"Z", b"X") else int(fields[19])


def _pid_namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino


def end(top: str) -> bool:
    """Kill everything in a group and below it, then remove all of that; False where something would not go in time."""
    deadline = time.monotonic() + _PATIENCE_S
    with contextlib.suppress(OSError):
        files.write(f"{top}/cgroup.kill", 1)
    # So that a fork bomb cannot outrun the loop below.
    with contextlib.suppress(OSError):
        files.write(f"{top}/pids.max", 0)
    while True:
        # Children before parents.
        for directory, _, _ in list(os.walk(top))[::-1]:
            with contextlib.suppress(OSError):
                os.rmdir(directory)
                continue
            _kill_members(directory)
        if not os.path.isdir(top):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_S)


def _kill_members(directory: str) -> None:
    """Each by pidfd, and only if it is a member after that was opened: a pid alone may have become a stranger's."""
    with contextlib.suppress(OSError):
        for pid in map(int, files.read(f"{directory}/cgroup.procs").split()):
            with contextlib.suppress(OSError):
                fd = os.pidfd_open(pid)
                try:
                    if str(pid) in files.read(f"{directory}/cgroup.procs").split():
                        signal.pidfd_send_signal(fd, signal.SIGKILL)
                finally:
                    os.close(fd)
