"""Starts commands as children of this process and says how each ended: the launcher of the plain platform."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

import msgspec

from bldr.api import Exit, Launch, SetupFailure, Started, Usage, Verdict
from bldr_plain import process
from bldr_plain.places import Command, places
from bldr_plain.sandbox import REACHED
from bldr_plain.tree import copy_tree, remove_tree
from bldr_plain.watch import Watch, open_watch

_MAXRSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


class _Run(msgspec.Struct):
    """A command that runs. `deadline_s` is when the next signal is due, on the clock `time.monotonic`."""

    launch: Launch
    child: "subprocess.Popen[bytes]"
    scratch: Mapping[str, str]
    mark: tuple[str, str] | None
    started_s: float
    began_s: float
    deadline_s: float | None = None
    terminated: bool = False
    verdict: Verdict | None = None


class PlainLauncher:
    """Owns the children, their scratch directories and the answers that nobody has fetched yet."""

    def __init__(self, root: str, watch: Watch | None = None) -> None:
        self._root = root
        self._watch = open_watch() if watch is None else watch
        self._runs: dict[int, _Run] = {}  # by pid
        self._exits: list[Exit] = []
        self._started: list[Started] = []
        self._closed = False

    @property
    def owner(self) -> tuple[int, int] | None:
        return None

    def fileno(self) -> int:
        return self._watch.fileno()

    def start(self, launch: Launch) -> None:
        scratch: dict[str, str] = {}
        try:
            self._begin(launch, scratch)
        except (OSError, ValueError) as error:  # ValueError: a NUL in a text
            _remove(scratch)
            failure = SetupFailure(f"cannot prepare the run: {_reason(error)}", _hint(error))
            self._finish(Exit(launch_id=launch.launch_id, exit_code=1, failure=failure))

    def kill(self, launch_id: int) -> None:
        for run in self._runs.values():
            if run.launch.launch_id == launch_id:
                process.signal_group(run.child.pid, signal.SIGKILL)

    def signal(self, launch_id: int, number: int) -> None:
        for run in self._runs.values():
            if run.launch.launch_id == launch_id:
                process.signal_group(run.child.pid, number)

    def measure(self, launch_id: int) -> Usage | None:  # noqa: ARG002  # there is nothing to count with
        return None

    def started(self) -> Sequence[Started]:
        started, self._started = self._started, []
        return started

    def reap(self) -> Sequence[Exit]:
        for pid in self._watch.ended():
            self._exits.append(self._end(pid))
        for run in self._runs.values():
            _enforce_deadline(run)
        self._set_deadline()
        exits, self._exits = self._exits, []
        return exits

    def close(self) -> None:
        for pid in tuple(self._runs):
            process.signal_group(pid, signal.SIGKILL)
            self._end(pid)
        if not self._closed:
            self._closed = True
            self._watch.close()

    def _begin(self, launch: Launch, scratch: dict[str, str]) -> None:
        for temp in launch.spec.temps:
            scratch[temp.path] = tempfile.mkdtemp(prefix="tmp-", dir=launch.tree.work if launch.tree else self._root)
        if launch.tree is not None:
            copy_tree(launch.tree.lower, launch.tree.upper)
        command = Command(launch, places(launch, scratch))
        os.stat(command.cwd)  # a directory that is missing is a failure to prepare, a missing program is the command's
        began_s, started_s = time.monotonic(), time.time()
        try:
            child = process.spawn(command, launch)
        except (OSError, ValueError) as error:
            _remove(scratch)
            code = _complain(launch, error)
            self._finish(Exit(launch_id=launch.launch_id, exit_code=code, isolation=dict(REACHED)))
            return
        mark = _mark(command, launch.tree.upper if launch.tree else "", *scratch.values())
        run = _Run(launch, child, scratch, mark, started_s, began_s)
        wall_time_s = launch.spec.resources.wall_time_s
        if wall_time_s is not None:
            run.deadline_s = began_s + wall_time_s
        self._runs[child.pid] = run
        self._watch.add(child.pid)
        self._set_deadline()
        if launch.announce:
            pidfd = os.pidfd_open(child.pid) if hasattr(os, "pidfd_open") else -1
            self._started.append(Started(launch.launch_id, child.pid, pidfd))
            self._watch.wake()

    def _finish(self, answer: Exit) -> None:
        self._exits.append(answer)
        self._watch.wake()

    def _set_deadline(self) -> None:
        self._watch.set_deadline(min((run.deadline_s for run in self._runs.values() if run.deadline_s), default=None))

    def _end(self, pid: int) -> Exit:
        """Kill what the command left behind, then reap it."""
        run = self._runs.pop(pid)
        process.end_all(pid, run.mark, run.started_s)
        self._watch.remove(pid)
        _, status, used = os.wait4(pid, 0)
        run.child.returncode = os.waitstatus_to_exitcode(status)  # or Popen would wait for a stranger's number
        _remove(run.scratch)
        usage = Usage(
            wall_s=time.monotonic() - run.began_s,
            cpu_s=used.ru_utime + used.ru_stime,
            memory_peak_bytes=_memory_peak_bytes(used.ru_maxrss),
        )
        code = run.child.returncode
        return Exit(
            launch_id=run.launch.launch_id,
            exit_code=code if code >= 0 else 128 - code,
            signal=max(0, -code),
            usage=usage,
            isolation=dict(REACHED),
            verdict=run.verdict or _cpu_verdict(run.launch, -code, usage),
        )


def _mark(command: Command, *own: str) -> tuple[str, str] | None:
    """A variable whose value names a directory of this launch alone: daemons that it left behind still carry it."""
    marks = (entry for entry in command.env.items() if any(path and path in entry[1] for path in own))
    return next(marks, None)


def _enforce_deadline(run: _Run) -> None:
    """The polite signal when the time is over, the other one when the grace is over too."""
    now_s = time.monotonic()
    if run.deadline_s is None or now_s < run.deadline_s:
        return
    limits = run.launch.spec.resources
    if run.terminated:
        run.deadline_s = None
        process.signal_group(run.child.pid, signal.SIGKILL)
        return
    run.terminated = True
    run.deadline_s = now_s + limits.grace_s
    run.verdict = Verdict("wall-time", limits.wall_time_s or 0.0, now_s - run.began_s, "s")
    process.signal_group(run.child.pid, signal.SIGTERM)


def _cpu_verdict(launch: Launch, number: int, usage: Usage) -> Verdict | None:
    limit_s, used_s = launch.spec.resources.cpu_time_s, usage.cpu_s or 0.0
    if limit_s is None or not (number == signal.SIGXCPU or (number == signal.SIGKILL and used_s >= limit_s)):
        return None
    # The kernel counts in two ways: the one that sends the signal may be ahead of the one that is reported.
    return Verdict("cpu", limit_s, max(limit_s, used_s), "s")


def _memory_peak_bytes(peak: int) -> int | None:
    """Of the largest process; None where it is only what this process had itself when it forked."""
    return peak * _MAXRSS_UNIT_BYTES if peak > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss else None


def _remove(scratch: Mapping[str, str]) -> None:
    for directory in scratch.values():
        with contextlib.suppress(OSError):  # what another user left there
            remove_tree(directory)


def _complain(launch: Launch, error: OSError | ValueError) -> int:
    """Say on the command's own standard error why it cannot run, as a shell does; the exit code is a shell's too."""
    complaint = f"bldr: {launch.argv[0]}: {_reason(error)}\n".encode(errors="surrogateescape")
    with contextlib.suppress(OSError):  # nobody listens
        os.write(launch.stderr, complaint)
    return 127 if isinstance(error, FileNotFoundError) else 126


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror.lower()}: {error.filename}" if error.filename else error.strerror.lower()
    return str(error)


def _hint(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "the plain sandbox mounts nothing: every path must exist on this machine"
    return ""
