"""The process above a confined command: starts it behind the wall, watches over it, and ends all that it started.

It stands outside the wall itself, so that it may signal those inside and they not it. Whatever a command leaves behind
becomes its child (PR_SET_CHILD_SUBREAPER of prctl(2)).
"""

import contextlib
import marshal
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import Any, NoReturn

from bldr_linux import command, landlock, seccomp, syscalls, violations
from bldr_linux.root import StepError

_LOOK_EVERY_S = 0.2
_MESSAGE_BYTES = 65536
_CHILD_FD = 3
_CAN_SHRINK_BOUNDING_SET = 1 << 8  # CAP_SETPCAP


def main(control_fd: int, plan_fd: int) -> NoReturn:
    """Run one launch: the plan comes from a file, signals to send from the socket, which takes what happens."""
    with open(plan_fd, "rb") as file:
        plan = marshal.load(file)  # noqa: S302 - the launcher's
    control = socket.socket(fileno=control_fd)
    try:
        report = _Supervisor(plan, control).run()
    except OSError as error:
        end_descendants()
        report = ("failed", "supervise", "", error.strerror or str(error), error.errno or 0)
    with contextlib.suppress(OSError):  # nobody is left to hear it
        control.send(marshal.dumps(report))
    os._exit(0)


class _Supervisor:
    """Owns the command and its descendants until none is left."""

    def __init__(self, plan: dict[str, Any], control: socket.socket) -> None:
        self._plan = plan
        self._control = control
        self._started_s = time.monotonic()
        self._deadline_s: float | None = None
        self._verdict: tuple[str, float, float, str] | None = None
        self._failure: tuple[Any, ...] | None = None
        self._polite = True
        self._poll = select.poll()
        self._listener = -1
        self._pid = 0

    def run(self) -> tuple[Any, ...]:
        """("failed", step, path, reason, errno), or ("ended", status, verdict, wall_s, cpu_s, peak_kib)."""
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
        inside, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            _confine(self._plan, theirs.fileno())
        theirs.close()
        self._pid = pid
        pidfd = os.pidfd_open(pid)
        if self._plan["wall_time_s"] is not None:
            self._deadline_s = self._started_s + self._plan["wall_time_s"]
        for fd in (self._control.fileno(), inside.fileno(), pidfd):
            self._poll.register(fd, select.POLLIN)
        while not self._turn(pid, pidfd, inside):
            self._reap_strangers(pid)
        _, status, _ = os.wait4(pid, 0)
        end_descendants()
        if self._failure is not None:
            return self._failure
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = used.ru_utime + used.ru_stime
        verdict = self._verdict or self._of_cpu(status, cpu_s)
        return ("ended", status, verdict, time.monotonic() - self._started_s, cpu_s, used.ru_maxrss)

    def _turn(self, pid: int, pidfd: int, inside: socket.socket) -> bool:
        """Wait for something to happen and see to it; whether the command has ended."""
        ready = {fd for fd, _ in self._poll.poll(_LOOK_EVERY_S * 1000)}
        if inside.fileno() in ready:
            self._hear(inside, pidfd)
        if self._control.fileno() in ready:
            self._obey(pid)
        if self._listener in ready:
            told = violations.receive(self._listener, syscalls.MACHINE)
            if told is not None:
                self._verdict = self._verdict or ("syscall", 0, 0, told[1])
                kill_descendants()
        if pidfd in ready:
            return True
        self._meet_deadline(pid)
        return False

    def _hear(self, inside: socket.socket, pidfd: int) -> None:
        content, fds, _, _ = socket.recv_fds(inside, _MESSAGE_BYTES, 1)
        if not content:  # the command runs, or nothing ever will
            self._poll.unregister(inside.fileno())
            if self._plan["announce"] and self._failure is None:
                with contextlib.suppress(OSError):
                    socket.send_fds(self._control, [marshal.dumps(("started", self._pid))], [pidfd])
            return
        if fds:
            self._listener = fds[0]
            self._poll.register(self._listener, select.POLLIN)
            return
        self._failure = marshal.loads(content)  # noqa: S302 - our own child's, before it became the command

    def _obey(self, pid: int) -> None:
        try:
            wanted = self._control.recv(16)
        except ConnectionResetError:  # so ends a launcher that had not read everything
            wanted = b""
        if not wanted and self._plan["outlives"]:
            self._poll.unregister(self._control.fileno())
        elif not wanted or int(wanted) == signal.SIGKILL:
            kill_descendants()
        else:
            _signal_group(pid, int(wanted))

    def _meet_deadline(self, pid: int) -> None:
        now_s = time.monotonic()
        if self._deadline_s is None or now_s < self._deadline_s:
            return
        if not self._polite:
            kill_descendants()
            return
        self._polite = False
        self._verdict = ("wall-time", self._plan["wall_time_s"], now_s - self._started_s, "s")
        self._deadline_s = now_s + self._plan["grace_s"]
        _signal_group(pid, signal.SIGTERM)

    def _of_cpu(self, status: int, used_s: float) -> tuple[str, float, float, str] | None:
        limit_s = self._plan["cpu_time_s"]
        number = -os.waitstatus_to_exitcode(status)
        if limit_s is None or not (number == signal.SIGXCPU or (number == signal.SIGKILL and used_s >= limit_s)):
            return None
        return ("cpu", limit_s, max(limit_s, used_s), "s")

    def _reap_strangers(self, pid: int) -> None:
        """Those that were left to this process; the command itself is waited for when it is its turn."""
        for child in _children().get(os.getpid(), ()):
            if child != pid:
                try:
                    os.waitpid(child, os.WNOHANG)
                except ChildProcessError:
                    continue


def _confine(plan: dict[str, Any], fd: int) -> NoReturn:
    """Go behind the wall for good and become the command; what fails is told."""
    try:
        os.dup2(fd, _CHILD_FD, inheritable=False)
        tell = socket.socket(fileno=_CHILD_FD)
        try:
            _leave_behind()
            _set_up(plan, tell)
            if not plan["argv"]:
                _try_the_wall()
                os._exit(0)
            report = command.become({**plan, "announce": False}, lambda *_: None)  # type: ignore[typeddict-item]
            os._exit(os.waitstatus_to_exitcode(report[1]))
        except StepError as failed:
            tell.send(marshal.dumps(("failed", failed.step, failed.path, failed.reason, failed.errno)))
        except BaseException as error:  # a bug, but the caller must hear of it
            tell.send(marshal.dumps(("failed", "bug", type(error).__name__, str(error), 0)))
    finally:
        os._exit(1)


def _leave_behind() -> None:
    try:
        syscalls.close_range(_CHILD_FD + 1)
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    except OSError as error:
        raise StepError.of("limits", "", error) from error


def _try_the_wall() -> None:
    """Where somebody else plays the kernel, what was accepted need not be enforced."""
    attempts: tuple[tuple[str, Callable[[], object]], ...] = (
        ("landlock", lambda: os.listdir("/")),
        ("seccomp", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()),
    )
    for step, attempt in attempts:
        try:
            attempt()
        except OSError:
            continue
        raise StepError(step, "/", "it was put up and keeps nothing out", 0)


def _set_up(plan: dict[str, Any], tell: socket.socket) -> None:
    os.umask(plan["umask"])
    try:
        os.chdir(plan["cwd"])
    except OSError as error:
        raise StepError.of("cwd", plan["cwd"], error) from error
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict(plan["landlock"], syscalls.landlock_abi())
    try:
        _drop_capabilities()
    except OSError as error:
        raise StepError.of("capabilities", "", error) from error
    try:
        if not plan["network"]:
            syscalls.install_filter(seccomp.without_sockets(syscalls.MACHINE))
        listens = plan["on_violation"] == "kill"
        listener = syscalls.install_filter(seccomp.program(syscalls.MACHINE, plan["on_violation"]), listener=listens)
    except OSError as error:
        raise StepError.of("seccomp", "", error) from error
    if listens:
        socket.send_fds(tell, [b"listener"], [listener])
        os.close(listener)
    command.set_limits(plan["limits"])


def _drop_capabilities() -> None:
    effective, _, _ = syscalls.capabilities()
    if effective & _CAN_SHRINK_BOUNDING_SET:
        with open("/proc/sys/kernel/cap_last_cap", "rb") as file:
            syscalls.drop_capabilities(int(file.read()))
    else:
        syscalls.set_capabilities(0, 0, 0)


def kill_descendants() -> None:
    """Kill whatever this process or one of its descendants started; who starts more meanwhile is met next time."""
    for pid in _descendants():
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        # The number may have become a stranger's before it was opened, but not since.
        if pid in _descendants():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)


def end_descendants() -> None:
    """Kill and reap until none is left."""
    while True:
        kill_descendants()
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)


def _descendants() -> list[int]:
    children = _children()
    found = list(children.get(os.getpid(), ()))
    for pid in found:  # grows while it is walked
        found += children.get(pid, ())
    return found


def _children() -> dict[int, list[int]]:
    """Process -> its children; proc_pid_stat(5)."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(name))
    return children


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)
