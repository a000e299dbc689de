"""The command of a sandbox, as its pid 1 sees it: started, looked after, ended together with what it leaves behind."""

from __future__ import annotations

import errno
import os
import resource
import time

from bldr_linux import sampling, syscalls
from bldr_linux.root import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Sequence
    from typing import Any

    from bldr_linux.plan import Plan
else:
    import _signal

_STDOUT = 1
_STDIO = (0, 1, 2)
_NOT_WRITABLE, _NOT_EXECUTABLE, _NOT_FOUND = 2, 126, 127
_SAMPLE_AT_LEAST_S, _SAMPLE_AT_MOST_S = 0.05, 60.0
_PROCESSES_EVERY_S, _MEMORY_EVERY_S = 0.2, 0.05
_SIGNALS = tuple(number for number in range(1, 32) if number not in (_signal.SIGKILL, _signal.SIGSTOP))
# What stops a job from the terminal does nothing to a command that leads a session of its own: its group is orphaned
# (setpgid(2), POSIX 11.1.4). The one signal that stops it all the same takes their place.
_STOPPING = (_signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU)

FORWARDED = (
    _signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM, _signal.SIGUSR1, _signal.SIGUSR2,
    _signal.SIGCONT, _signal.SIGWINCH, _signal.SIGXCPU, *_STOPPING,
)  # fmt: skip
"""Signals to pid 1 from outside that the command gets: termination, job control, the user's own, and the one that
tells of a limit."""


class Command:
    """Owns the command's process and whatever is left to pid 1, until the command ends.

    `sampled` are the limits ("cpu", "memory", "processes") that are measured from here, because no control group does.
    """

    def __init__(
        self, plan: Plan, cpus: int, sampled: Sequence[str], tell: Callable[..., None], hear: Callable[[], None]
    ) -> None:
        self._plan = plan
        self._cpus = cpus
        self._tell = tell
        self._hear = hear
        self._bounds = plan["bounds"]
        self._limit_s = self._bounds.get("cpu") if "cpu" in sampled else None
        self._limit_processes = self._bounds.get("processes") if "processes" in sampled else None
        self._limit_memory = self._bounds.get("memory") if "memory" in sampled else None
        self._temporary = [path for name, path, *_ in plan["operations"] if name == "tmpfs"]
        self._verdict: tuple[str, float, float, str] | None = None
        self._deadline = 0.0

    def run(self) -> tuple[Any, ...]:
        """The report: the wait status of the command, and the verdict if any."""
        pid, exit_code = self._start()
        if pid == 0:
            return ("ended", exit_code << 8, None)
        for fd in _STDIO:  # the command's; and under its own limit there may be no other left for what follows
            os.close(fd)
        if self._plan["announce"]:
            fd = os.pidfd_open(pid)
            self._tell("started", fd=fd)
            os.close(fd)
            self._hear()  # a process that is reaped has no number any more that could be told
        status = None
        while status is None:
            self._wait_for_signal(pid)
            # After every signal: in a storm of others the one that tells of a dead child may never have its turn.
            status = self._reap(pid)
            if status is None:
                self._sample()
        if status and self._limit_processes is not None and self._verdict is None:
            # It failed; the others that are still there tell whether that was for want of one more process.
            threads = sampling.cpu_and_threads()[1] + 1
            if threads >= self._limit_processes:
                self._verdict = ("processes", self._limit_processes, threads, "processes")
        self._end_the_rest()
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        verdict = self._verdict or verdict_of(self._bounds, status, usage.ru_utime + usage.ru_stime)
        return ("ended", status, verdict)

    def _end_the_rest(self) -> None:
        """The kernel would do so when pid 1 ends, but then nobody is told what the others used."""
        try:
            os.kill(-1, _signal.SIGKILL)
            while True:
                os.waitpid(-1, 0)
        except (ProcessLookupError, ChildProcessError):
            return

    def _start(self) -> tuple[int, int]:
        """(pid, 0), or (0, exit code) with the reason on the command's standard error."""
        argv, env = self._plan["argv"], dict(self._plan["env"])
        path, exit_code = _program(self._plan)
        if exit_code:
            return 0, exit_code
        try:
            if self._plan["filters"]:
                return self._fork(path), 0
            return os.posix_spawn(path, argv, env, setsigdef=_SIGNALS, setsigmask=(), setsid=True), 0
        except OSError as error:
            return 0, _cannot_start(path, argv[0], error)

    def _fork(self, path: str) -> int:
        """Start a command under filters of the caller's own, which pid 1 itself might not survive."""
        pid = os.fork()
        if pid == 0:
            os._exit(_execute(self._plan, path))
        return pid

    def _wait_for_signal(self, pid: int) -> None:
        timeout_s = self._pause_s()
        expected = (_signal.SIGCHLD, *FORWARDED)
        received = _signal.sigwaitinfo(expected) if timeout_s is None else _signal.sigtimedwait(expected, timeout_s)
        # Whoever has a process id here is inside; the outside has none.
        if received is not None and received.si_signo != _signal.SIGCHLD and received.si_pid == 0:
            number = _signal.SIGSTOP if received.si_signo in _STOPPING else received.si_signo
            # The command leads a session and a group of its own: its children hear of it as they would of ^C. A limit
            # that all of them reached together is told to all.
            _signal_quietly(-1 if number == _signal.SIGXCPU else -pid, number)

    def _reap(self, command: int) -> int | None:
        """Collect whoever is dead; the command's status when it is among them."""
        found = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return found
            if pid == command:
                found = status
            if pid == 0 or found is not None:
                return found

    def _pause_s(self) -> float | None:
        """How long until a limit may be reached at the earliest, all processors counted."""
        if self._verdict is not None:
            return max(self._deadline - time.monotonic(), 0.0)
        pauses_s = []
        if self._limit_processes is not None:
            pauses_s.append(_PROCESSES_EVERY_S)
        if self._limit_memory is not None:
            pauses_s.append(_MEMORY_EVERY_S)
        if self._limit_s is not None:
            left_s = (self._limit_s - sampling.cpu_and_threads()[0]) / self._cpus
            pauses_s.append(min(max(left_s, _SAMPLE_AT_LEAST_S), _SAMPLE_AT_MOST_S))
        return min(pauses_s) if pauses_s else None

    def _sample(self) -> None:
        now = time.monotonic()
        if self._verdict is not None:
            if now >= self._deadline:
                _signal_quietly(-1, _signal.SIGKILL)
            return
        used_s, threads = self._cpu_and_threads()
        memory_bytes = 0 if self._limit_memory is None else sampling.memory_bytes(self._temporary)
        if self._limit_s is not None and used_s >= self._limit_s:
            self._verdict = ("cpu", self._limit_s, used_s, "s")
            self._deadline = now + self._plan["grace_s"]
            _signal_quietly(-1, _signal.SIGXCPU)
            return
        if self._limit_memory is not None and memory_bytes > self._limit_memory:
            self._verdict = ("memory", self._limit_memory, memory_bytes, "bytes")
        elif self._limit_processes is not None and threads >= self._limit_processes:
            self._verdict = ("processes", self._limit_processes, threads, "processes")
        if self._verdict is not None:
            self._deadline = now
            _signal_quietly(-1, _signal.SIGKILL)

    def _cpu_and_threads(self) -> tuple[float, int]:
        return (0.0, 0) if self._limit_s is None and self._limit_processes is None else sampling.cpu_and_threads()


def verdict_of(bounds: dict[str, float], status: int, cpu_s: float) -> tuple[str, float, float, str] | None:
    """What the kernel's own limits did to the command, or to a child whose end a shell passed on."""
    code = os.waitstatus_to_exitcode(status)
    number = -code if code < 0 else code - 128
    limit_s = bounds.get("cpu")
    if limit_s is not None and code != 0 and (number == _signal.SIGXCPU or cpu_s >= limit_s):
        return ("cpu", limit_s, cpu_s, "s")
    limit_bytes = bounds.get("file-size")
    if limit_bytes is not None and number == _signal.SIGXFSZ:
        output_bytes = bounds.get("output", limit_bytes)
        name = "output" if output_bytes < limit_bytes else "file-size"
        return (name, min(output_bytes, limit_bytes), limit_bytes, "bytes")
    return None


def within(limit: tuple[int, int, int]) -> tuple[int, int, int]:
    """As much of a limit as this process was allowed itself."""
    number, soft, hard = limit
    _, ceiling = resource.getrlimit(number)
    if ceiling != resource.RLIM_INFINITY:
        hard = ceiling if hard == resource.RLIM_INFINITY else min(hard, ceiling)
        soft = hard if soft == resource.RLIM_INFINITY else min(soft, hard)
    return number, soft, hard


def set_limits(limits: Sequence[tuple[int, int, int]]) -> None:
    """Set limits, within what this process was allowed itself.

    Last of all: what comes before needs descriptors of its own, however few the command may have.
    """
    for number, soft, hard in map(within, limits):
        try:
            resource.setrlimit(number, (soft, hard))
        except OSError as error:
            raise StepError.of("limits", "", error) from error


def become(plan: Plan, tell: Callable[..., None]) -> tuple[Any, ...]:
    """Be the command, as pid 1; comes back with a report only when that fails."""
    path, exit_code = _program(plan)
    if not exit_code:
        if plan["announce"]:
            tell("started")
        exit_code = _execute(plan, path)
    return ("ended", exit_code << 8, None)


def _execute(plan: Plan, path: str) -> int:
    """Replace this process by the command; the exit code where that fails."""
    for number in _SIGNALS:
        _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    os.setsid()
    argv, env = plan["argv"], dict(plan["env"])
    for program in plan["filters"]:
        try:
            syscalls.install_filter(program)
        except OSError as error:
            raise StepError.of("seccomp", "", error) from error
    try:
        os.execve(path, argv, env)  # noqa: S606 - that is what it is for
    except OSError as error:
        return _cannot_start(path, argv[0], error)


def _program(plan: Plan) -> tuple[str, int]:
    """(path, 0) of the program, or ("", exit code) with the reason on standard error; output goes where it should."""
    if plan["into"] and not _redirect(plan["into"]):
        return "", _NOT_WRITABLE
    name = plan["argv"][0]
    path = name if "/" in name else _search(candidates(plan))
    if not path:
        return "", _complain(name, not_found(plan), _NOT_FOUND)
    return path, 0


def _redirect(path: str) -> bool:
    """What `>` of a shell does; False with the reason on standard error."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    except OSError as error:
        _complain(path, f"cannot be written: {(error.strerror or '').lower()}", _NOT_WRITABLE)
        return False
    os.dup2(fd, _STDOUT)
    os.close(fd)
    return True


def candidates(plan: Plan) -> list[str]:
    """Where the program may be."""
    name, path = plan["argv"][0], dict(plan["env"]).get("PATH", "")
    return [name] if "/" in name else [f"{directory or '.'}/{name}" for directory in path.split(":")]


def not_found(plan: Plan) -> str:
    """What is said where it is not in any of these places."""
    env = dict(plan["env"])
    return "command not found ({})".format(f"PATH={env['PATH']}" if "PATH" in env else "there is no PATH")


def _cannot_start(path: str, name: str, error: OSError) -> int:
    if isinstance(error, FileNotFoundError):
        exists = os.path.lexists(path)
        missing = "its interpreter or loader is not in the sandbox" if exists else "no such file"
        return _complain(name, missing, _NOT_FOUND)
    return _complain(name, (error.strerror or "cannot be started").lower(), _NOT_EXECUTABLE)


def _search(paths: Sequence[str]) -> str:
    """The first executable file; else the first file, so that the right error is reported."""
    found = ""
    for candidate in paths:
        if os.path.isfile(candidate):
            if os.access(candidate, os.X_OK):
                return candidate
            found = found or candidate
    return found


def _complain(name: str, reason: str, exit_code: int) -> int:
    try:  # noqa: SIM105 - contextlib is not imported here
        os.write(2, f"bldr: {name}: {reason}\n".encode(errors="surrogateescape"))
    except OSError:  # full, or nobody reads: the exit code tells all the same
        pass
    return exit_code


def _signal_quietly(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError as error:
        if error.errno != errno.ESRCH:
            raise
