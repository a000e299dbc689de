"""A cell: a fork of the launcher that runs launches, one at a time, each in namespaces of its own.

It lives in control groups of its own where those are entered slowly, so that what it starts is born in them. Its socket
to the engine carries `wire` frames:

    ("keep", base, plan)           first of all where launches are alike, see `resident`; with the plan of one of them
    ("start", launch_id, changed, in_turn)
                                   what differs from that plan, or all; with standard input, output and error; in_turn:
                                   once there is a place among those that all cells of the launcher share
    ("go",)                        the network is ready, or "started" was taken note of
    ("refuse", message, hint)      the network cannot be had
    ("signal", number)             to the command
    ("kill",)                      end all of the launch now
    ("recall",)                    end it if it waits for its turn
    ("measure",)                   answered by ("measured", used)

and back: ("waiting", launch_id, pid), ("started", launch_id, pid) with a descriptor that refers to the command, and
("exit", launch_id, report, wall_s, used, owes_turn) once all processes of the launch are dead. `used` holds what is
known of cpu_s, memory_peak_bytes, read_bytes, written_bytes and processes_peak. A place that was taken is free again
when the launch ended well; else it is the engine's to free (`owes_turn`).
"""

from __future__ import annotations

import _socket
import errno
import os
import resource  # noqa: F401 - `os.wait4` imports it, too late when privileges are gone
import select
import sys
import time

from bldr_linux import init, syscalls, turns, violations, wire
from bldr_linux.ahead import Ahead
from bldr_linux.cgroups.group import CellGroup
from bldr_linux.resident import Resident
from bldr_linux.root import StepError
from bldr_linux.running import Running, Waiting
from bldr_linux.supervision import POLITELY, Supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any, NoReturn

    from bldr_linux.cradle import Newborn
    from bldr_linux.plan import Plan
    from bldr_linux.resident import Ready
    from bldr_linux.supervision import Verdict
else:
    import _signal

_NAMESPACES = (
    syscalls.CLONE_NEWUSER
    | syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWUTS
    | syscalls.CLONE_NEWCGROUP
)
_BLOCK_BYTES = 512
_SOCKET_FD, _CRADLE_FD = 3, turns.LAST_FD + 1
# Limits, and the counter of a control group without which pid 1 has to look for itself.
_COUNTERS = (("cpu", "cpu_s"), ("memory", "memory_bytes"), ("processes", "processes"))
_FDS_BYTES = _socket.CMSG_SPACE(4)
_SEQPACKET = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC


class Cell:
    """The event loop of one cell; between launches it waits for the engine alone."""

    def __init__(
        self, sock: _socket.socket, prepared: init.Prepared, group: CellGroup, *, die_with_parent: bool
    ) -> None:
        self._sock = sock
        self._receiver = wire.Receiver(sock)
        self._prepared = prepared
        self._group = group
        self._die_with_parent = die_with_parent
        self._launch: Running | None = None
        self._ahead: Ahead | None = None
        self._plan: dict[str, Any] = {}
        self._uncounted: list[str] | None = None
        self._poll = select.poll()
        self._poll.register(sock.fileno(), select.POLLIN)
        self._turns = turns.Turns(self._poll)
        self._engine_is_there = True

    def serve(self) -> None:
        """Run until the engine closes its end and nothing runs that is to outlive it."""
        while self._engine_is_there or self._launch:
            ready = self._poll.poll(self._timeout_ms())
            for fd, _ in ready:
                if fd == self._sock.fileno():
                    self._receive()
            launch = self._launch
            if self._turns.waiting is not None:
                self._begin(self._turns.waiting)
            elif launch is not None:
                self._attend(launch, {fd for fd, _ in ready})

    def _receive(self) -> None:
        messages = self._receiver.receive()
        if messages is None:
            self._engine_is_there = False
            self._poll.unregister(self._sock.fileno())
            if self._turns.waiting is not None:
                self._give_up(self._turns.waiting)
            if self._launch is not None:
                self._go_on_alone(self._launch)
            return
        for kind, *arguments in messages:
            if kind == "start":
                self._start(*arguments)
            elif kind == "keep":
                self._plan = arguments[1]
                resident = Resident(arguments[0], self._prepared, die_with_parent=self._die_with_parent)
                self._ahead = Ahead(resident, self._group)
                self._ahead.make(None)
            elif kind == "measure":
                self._send(("measured", self._group.measure() if self._launch else {}))
            elif kind in ("kill", "recall") and self._turns.waiting is not None:
                self._give_up(self._turns.waiting)
            elif self._launch is None or kind == "recall":
                continue  # it came too late
            elif kind == "kill":
                self._kill(self._launch)
            elif kind == "signal":
                self._signal(self._launch, arguments[0])
            elif kind == "go":
                self._go(self._launch)
            elif kind == "refuse":
                self._launch.refused = ("refused", *arguments)
                self._kill(self._launch)

    def _go_on_alone(self, launch: Running) -> None:
        """The engine is gone, with whatever it has not answered: nobody is left to make a network."""
        if launch.asked == "waiting" or not launch.plan["outlives"]:
            self._kill(launch)
        elif launch.asked == "started":
            self._go(launch)

    def _go(self, launch: Running) -> None:
        launch.asked = ""
        try:
            launch.reports.send(b"go")
        except OSError as error:  # it was killed meanwhile
            if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise

    def _signal(self, launch: Running, number: int) -> None:
        # It would stop pid 1, who is to wait for the command; this one is passed on as what stops the command.
        if number == _signal.SIGSTOP and not launch.plan["as_pid_1"]:
            number = _signal.SIGTSTP
        try:
            _signal.pidfd_send_signal(launch.pidfd, number)
        except OSError as error:  # there is no such signal
            if error.errno != errno.EINVAL:
                raise

    def _attend(self, launch: Running, ready: set[int]) -> None:
        """Whatever is to be done for a launch that runs."""
        if launch.reports.fileno() in ready:
            self._hear(launch)
        if launch.listener_fd in ready:
            self._judge(launch)
        if launch.pidfd in ready:
            self._finish(launch)
            return
        if launch.used is not None:
            self._conclude(launch, 0, launch.used)
            return
        now_s = time.monotonic()
        if launch.verdict is None:
            if verdict := launch.supervisor.look(now_s):
                self._end(launch, verdict, now_s)
        elif launch.kill_s is not None:
            # The grace of one limit is no leave to go past others.
            verdict = launch.supervisor.look(now_s)
            if now_s >= launch.kill_s or (verdict is not None and verdict[0] not in POLITELY):
                launch.kill_s = None
                self._kill(launch)

    def _timeout_ms(self) -> float | None:
        if self._launch is None:
            return None
        if self._launch.verdict is not None and self._launch.kill_s is None:
            return None
        times_s = [at_s for at_s in (self._launch.supervisor.due_s, self._launch.kill_s) if at_s is not None]
        return max(min(times_s) - time.monotonic(), 0) * 1000 + 1 if times_s else None

    def _start(self, launch_id: int, changed: dict[str, Any], in_turn: bool) -> None:
        stdio = tuple(self._receiver.fds[:3])
        del self._receiver.fds[:3]
        plan: Any = self._plan | changed
        self._begin(Waiting(launch_id, plan, stdio, in_turn=in_turn))

    def _begin(self, waiting: Waiting) -> None:
        """Start the launch if it is its turn; what can be done before that is done at once."""
        report: tuple[Any, ...]
        try:
            if self._ahead is not None and waiting.sandbox is None:
                waiting.sandbox = self._ahead.take(waiting.plan)
            had_to_wait = self._turns.waiting is not None
            if waiting.in_turn and not waiting.has_turn and not self._turns.take(waiting):
                return
            if self._ahead is not None and waiting.sandbox is not None and had_to_wait:
                waiting.sandbox = self._ahead.take(waiting.plan, waiting.sandbox)
            self._fork(waiting)
        except OSError as error:
            path = str(error.filename or "")
            report = ("failed", "group" if path else "clone", path, error.strerror, error.errno)
            self._send(("exit", waiting.launch_id, report, 0.0, {}, waiting.has_turn))
        except StepError as failed:
            report = ("failed", failed.step, failed.path, failed.reason, failed.errno)
            self._send(("exit", waiting.launch_id, report, 0.0, {}, waiting.has_turn))
        self._turns.give_up()
        waiting.close()

    def _give_up(self, waiting: Waiting) -> None:
        """It was ended before its turn came."""
        self._turns.give_up()
        if waiting.sandbox is not None:
            waiting.sandbox.end()
            self._group.finish()
        waiting.close()
        self._send(("exit", waiting.launch_id, ("recalled",), 0.0, {}, False))

    def _fork(self, waiting: Waiting) -> None:
        if waiting.sandbox is not None:
            launch = self._give(waiting.sandbox, waiting)
        else:
            launch = self._make_alone(waiting.launch_id, waiting.plan, waiting.stdio)
        launch.has_turn = waiting.has_turn
        self._launch = launch
        self._poll.register(launch.pidfd, select.POLLIN)
        self._poll.register(launch.reports.fileno(), select.POLLIN)

    def _sampled(self) -> list[str]:
        """The limits whose use no control group of ours counts."""
        if self._uncounted is None:
            known = self._group.measure()
            self._uncounted = [name for name, key in _COUNTERS if key not in known]
        return self._uncounted

    def _make_alone(self, launch_id: int, plan: Plan, stdio: tuple[int, ...]) -> Running:
        """A launch in namespaces that are all its own."""
        group_fd = self._group.prepare(plan["control"], attendants=0 if plan["as_pid_1"] else 1)
        sampled = self._sampled()
        # Packets, so that a message is whole or not there, and one of them may carry a descriptor.
        reports, inner = _socket.socketpair(_socket.AF_UNIX, _SEQPACKET)
        now_s = time.monotonic()
        launch = Running(launch_id, plan, Supervisor(plan, stdio[1:], self._group, now_s), now_s, reports)
        flags = _NAMESPACES | (syscalls.CLONE_NEWNET if plan["own_network"] else 0)
        # Blocked before pid 1 exists: a signal that comes while it is being set up waits for it.
        mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, init.BLOCKED)
        try:
            launch.pid, launch.pidfd, group_fd = syscalls.clone_in_group(flags, group_fd)
            if launch.pid == 0:
                init.run(plan, stdio, inner.fileno(), self._prepared, sampled, group_fd)
        except OSError:
            launch.reports.close()
            launch.supervisor.close()
            raise
        finally:
            inner.close()
            _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
        return launch

    def _give(self, sandbox: Newborn | Ready, waiting: Waiting) -> Running:
        """The launch in the sandbox that was made ahead."""
        plan, stdio = waiting.plan, waiting.stdio
        now_s = time.monotonic()
        try:
            supervisor = Supervisor(plan, stdio[1:], self._group, now_s)
            try:
                sandbox.give(plan, self._sampled(), stdio)
            except BaseException:
                supervisor.close()
                raise
        except BaseException:
            sandbox.end()
            self._group.finish()
            raise
        launch = Running(waiting.launch_id, plan, supervisor, now_s, sandbox.reports)
        launch.pid, launch.pidfd, launch.inner = sandbox.pid, sandbox.pidfd, sandbox.inner
        launch.messages = sandbox.messages
        return launch

    def close(self) -> None:
        """End what waits for a launch that does not come."""
        if self._ahead is not None:
            self._ahead.close()

    def _hear(self, launch: Running) -> None:
        """Take what pid 1 says; at its end the socket closes, and the process is waited for."""
        while True:
            try:
                data, ancillary, _, _ = launch.reports.recvmsg(
                    1 << 16, _FDS_BYTES, _socket.MSG_DONTWAIT | _socket.MSG_CMSG_CLOEXEC
                )
            except (BlockingIOError, ConnectionResetError):
                return
            if not data:
                self._ignore(launch.reports.fileno())
                return
            fds = [int.from_bytes(content[:4], "little") for _, _, content in ancillary]
            for message in launch.messages(data):
                self._note(launch, message, fds)

    def _note(self, launch: Running, message: tuple[Any, ...], fds: list[int]) -> None:
        if message[0] in ("waiting", "started"):
            launch.asked = message[0]
        if message[0] == "waiting":
            self._send(("waiting", launch.launch_id, launch.pid))
        elif message[0] == "started":
            fd = fds[0] if fds else launch.pidfd
            self._send(("started", launch.launch_id, 0 if fds else launch.pid), (fd,))
            if fds:
                os.close(fd)
        elif message[0] == "listener" and fds:
            launch.listener_fd = fds[0]
            self._poll.register(fds[0], select.POLLIN)
        elif message[0] == "listener":  # the descriptor was lost on the way, for want of room
            launch.refused = ("refused", "too many open files to watch for forbidden calls", "raise `ulimit -n`")
            self._kill(launch)
        elif message[0] == "alone":
            launch.used = message[1]
        elif launch.report is None or launch.report[0] != "failed":
            launch.report = message
        if launch.asked and not self._engine_is_there:
            self._go_on_alone(launch)

    def _judge(self, launch: Running) -> None:
        """A forbidden system call waits for an answer: it gets none."""
        violation = violations.receive(launch.listener_fd, syscalls.MACHINE)
        if violation is not None and launch.verdict is None:
            self._end(launch, ("syscall", 0, 0, violation[1]), time.monotonic())
        elif violation is None:
            # Nobody is left who could make one.
            self._ignore(launch.listener_fd)

    def _end(self, launch: Running, verdict: Verdict, now_s: float) -> None:
        launch.verdict = verdict
        if verdict[0] in POLITELY:
            launch.kill_s = now_s + launch.plan["grace_s"]
            _signal.pidfd_send_signal(launch.pidfd, POLITELY[verdict[0]])
        else:
            self._kill(launch)

    def _kill(self, launch: Running) -> None:
        """The kernel kills every process of the namespace with its pid 1, and the group's too where it can."""
        launch.is_killed = True
        self._group.kill()
        _signal.pidfd_send_signal(launch.pidfd, _signal.SIGKILL)

    def _finish(self, launch: Running) -> None:
        """pid 1 is dead, and with it, the kernel has seen to that, every process of its namespace."""
        _, status, usage = os.wait4(launch.pid, 0)
        launch.pid = 0
        self._hear(launch)
        used = {
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "memory_peak_bytes": usage.ru_maxrss << 10,
            "read_bytes": usage.ru_inblock * _BLOCK_BYTES,
            "written_bytes": usage.ru_oublock * _BLOCK_BYTES,
        }
        self._conclude(launch, status, used)

    def _conclude(self, launch: Running, status: int, used: dict[str, Any]) -> None:
        """Nothing of the launch is alive but perhaps its pid 1, which has said that it is alone and ends."""
        wall_s = time.monotonic() - launch.started_s
        used |= self._group.measure()
        verdict = launch.verdict or launch.supervisor.last_look(used)
        self._group.leave()
        if launch.pid == 0:
            self._group.clear()
        report = launch.refused or launch.report or (("ended" if launch.plan["as_pid_1"] else "killed"), status, None)
        if verdict is not None and report[0] not in ("failed", "refused"):
            report = (*report[:2], verdict)
        for fd in (launch.pidfd, launch.listener_fd, launch.reports.fileno()):
            self._ignore(fd)
        self._launch = None
        leaves_turn = launch.has_turn and not launch.is_killed and report == ("ended", 0, None)
        if leaves_turn:
            self._turns.leave()
        owes_turn = launch.has_turn and not leaves_turn
        self._send(("exit", launch.launch_id, report, wall_s, used, owes_turn))
        if self._ahead is not None and self._engine_is_there:
            self._ahead.make(launch)
        if launch.pid:
            os.waitpid(launch.pid, 0)
            self._group.clear()
        launch.close()

    def _ignore(self, fd: int) -> None:
        """What hangs up would wake us for ever."""
        try:  # noqa: SIM105 - contextlib is not imported here
            self._poll.unregister(fd)
        except (KeyError, ValueError):  # it was done with before, or never was
            pass

    def _send(self, message: tuple[Any, ...], fds: tuple[int, ...] = ()) -> None:
        if not self._engine_is_there:
            return
        try:
            wire.send(self._sock, message, fds)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise


def main(
    fd: int,
    number: int,
    prepared: init.Prepared,
    groups: tuple[Any, ...],
    turn_fds: tuple[int, int],
    *,
    die_with_parent: bool,
) -> NoReturn:
    """Live as a cell on the socket `fd`; never returns. The launcher got `turn_fds` before the cradle's descriptor."""
    try:
        if die_with_parent:
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, _signal.SIGKILL)
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        os.dup2(fd, _SOCKET_FD, inheritable=False)
        turns.settle(turn_fds)
        if prepared.cradle_fd > _CRADLE_FD:
            os.dup2(prepared.cradle_fd, _CRADLE_FD, inheritable=False)
            prepared.cradle_fd = _CRADLE_FD
        # The launcher's own socket, in the first place.
        syscalls.close_range(_CRADLE_FD + (prepared.cradle_fd >= 0))
        group = CellGroup(groups, number)
        try:
            cell = Cell(_socket.socket(fileno=_SOCKET_FD), prepared, group, die_with_parent=die_with_parent)
            cell.serve()
            cell.close()
        finally:
            group.close()
    except BaseException:  # a bug: whoever reads standard error must hear of it
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)
