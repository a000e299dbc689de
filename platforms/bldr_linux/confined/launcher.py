"""Starts confined commands, each below a supervisor of its own, and says how each ended."""

import contextlib
import marshal
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bldr.api import Exit, Launch, Level, SandboxSpec, SetupFailure, Started, Usage, Verdict
from bldr_linux import devices
from bldr_linux.compile import Host, RefusedError, compile_launch
from bldr_linux.confined.layout import rules
from bldr_linux.confined.sandbox import REACHED
from bldr_linux.failures import explain
from bldr_unmounted.failures import hint, reason
from bldr_unmounted.places import Command, places
from bldr_unmounted.tree import copy_tree, remove_tree

_MESSAGE_BYTES = 65536
_GONE = SetupFailure("the action's supervisor was killed", "look for the reason in the kernel's log (`dmesg`)")


class _Run(msgspec.Struct):
    """A launch that runs: its supervisor, and the directories to remove after it."""

    launch: Launch
    control: socket.socket
    child: "subprocess.Popen[bytes]"
    scratch: Mapping[str, str]


class ConfinedLauncher:
    """Owns the supervisors and the answers that nobody has fetched yet; see `bldr.api.Launcher`."""

    owner: tuple[int, int] | None = None

    def __init__(self, root: str) -> None:
        self._root = root
        self._runs: dict[int, _Run] = {}  # by the descriptor of the control socket
        self._exits: list[Exit] = []
        self._started: list[Started] = []
        self._epoll = select.epoll()
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._event, select.EPOLLIN)

    def fileno(self) -> int:
        return self._epoll.fileno()

    def start(self, launch: Launch) -> None:
        if not launch.argv:
            self._refuse(launch, {}, SetupFailure("there is no command to run"))
            return
        self._start(launch)

    def start_trial(self) -> None:
        """Go behind a wall that lets nothing through, and try it, in the place of a command."""
        with open(os.devnull, "r+b") as null:
            fd = null.fileno()
            self._start(Launch(launch_id=0, spec=SandboxSpec(), argv=(), cwd="/", stdin=fd, stdout=fd, stderr=fd))

    def _start(self, launch: Launch) -> None:
        scratch: dict[str, str] = {}
        try:
            self._begin(launch, scratch)
        except RefusedError as refused:
            self._refuse(launch, scratch, refused.failure)
        except OSError as error:
            self._refuse(launch, scratch, SetupFailure(f"cannot prepare the run: {reason(error)}", hint(error)))

    def _begin(self, launch: Launch, scratch: dict[str, str]) -> None:
        tree = launch.tree
        plan = _plan(launch)
        place = tree.work if tree else self._root
        for temp in launch.spec.temps:
            scratch[temp.path] = tempfile.mkdtemp(prefix="tmp-", dir=place)
        if tree:
            copy_tree(tree.lower, tree.upper)
        command = Command(launch, places(launch, scratch))
        plan |= {
            "argv": tuple(command.argv),
            "env": tuple(sorted(command.env.items())),
            "cwd": command.cwd,
            "landlock": rules(launch, scratch),
        }
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, open(os.memfd_create("plan"), "w+b") as file:
            file.write(marshal.dumps(plan))
            file.seek(0)
            child = _spawn(launch, theirs.fileno(), file.fileno())
        self._runs[control.fileno()] = _Run(launch, control, child, scratch)
        self._epoll.register(control.fileno(), select.EPOLLIN)

    def _refuse(self, launch: Launch, scratch: Mapping[str, str], failure: SetupFailure) -> None:
        _remove(scratch)
        self._exits.append(Exit(launch_id=launch.launch_id, exit_code=1, failure=failure))
        os.eventfd_write(self._event, 1)

    def kill(self, launch_id: int) -> None:
        self.signal(launch_id, signal.SIGKILL)

    def signal(self, launch_id: int, number: int) -> None:
        for run in self._runs.values():
            if run.launch.launch_id == launch_id:
                with contextlib.suppress(OSError):  # it ended
                    run.control.send(b"%d" % number)

    def measure(self, launch_id: int) -> Usage | None:  # noqa: ARG002  # there is nothing to count with
        return None

    def started(self) -> Sequence[Started]:
        self._receive()
        started, self._started = self._started, []
        return started

    def reap(self) -> Sequence[Exit]:
        self._receive()
        exits, self._exits = self._exits, []
        if not self._started:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._event)
        return exits

    def _receive(self) -> None:
        """Take what the supervisors say; what nobody has fetched yet keeps the descriptor readable."""
        for fd, _ in self._epoll.poll(0):
            if fd != self._event:
                self._hear(fd)
                os.eventfd_write(self._event, 1)

    def _hear(self, fd: int) -> None:
        run = self._runs[fd]
        content, fds, _, _ = socket.recv_fds(run.control, _MESSAGE_BYTES, 1)
        report = marshal.loads(content) if content else None  # noqa: S302 - the supervisor's
        if report is not None and report[0] == "started":
            self._started.append(Started(run.launch.launch_id, report[1], fds[0]))
            return
        del self._runs[fd]
        self._epoll.unregister(fd)
        run.control.close()
        run.child.wait()
        _remove(run.scratch)
        self._exits.append(_exit(run.launch, report))

    def close(self) -> None:
        for fd, run in tuple(self._runs.items()):
            if run.launch.spec.process.kill_on_parent_exit:
                self.kill(run.launch.launch_id)
                while fd in self._runs:
                    self._hear(fd)
            else:
                run.control.close()
        for started in self._started:
            os.close(started.pidfd)
        self._epoll.close()
        os.close(self._event)


def _plan(launch: Launch) -> dict[str, Any]:
    """What the supervisor needs besides what depends on places. Raises RefusedError."""
    spec = launch.spec
    if spec.network.bridge is not None:
        raise RefusedError("a bridge cannot be joined without namespaces", "allow user namespaces, see `bldr doctor`")
    if spec.process.as_pid_1:
        raise RefusedError("a command cannot be process 1 without namespaces", "allow user namespaces")
    # Checks the spec, and turns limits into those of processes; nothing is mounted of what it would mount.
    host = Host(root="/", relative=False, is_root=False, nodes=devices.look(spec.devices), limits_processes=False)
    full = compile_launch(launch, host)
    kept = ("umask", "limits", "filters", "on_violation", "grace_s", "outlives", "announce", "into")
    return {
        **{name: full[name] for name in kept},  # type: ignore[literal-required]
        "network": spec.network.host,
        "wall_time_s": spec.resources.wall_time_s,
        "cpu_time_s": spec.resources.cpu_time_s,
    }


def _spawn(launch: Launch, control_fd: int, plan_fd: int) -> "subprocess.Popen[bytes]":
    directory = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    program = (
        f"import sys; sys.path.append({directory!r}); "
        f"from bldr_linux.confined.supervisor import main; main({control_fd}, {plan_fd})"
    )
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-X", "utf8", *(["-B"] if sys.dont_write_bytecode else []), "-c", program],
        stdin=launch.stdin,
        stdout=launch.stdout,
        stderr=launch.stderr,
        env={},
        pass_fds=(control_fd, plan_fd),
        start_new_session=True,
    )


def _exit(launch: Launch, report: tuple[Any, ...] | None) -> Exit:
    if report is None:
        return Exit(launch_id=launch.launch_id, exit_code=1, failure=_GONE)
    if report[0] == "failed":
        return Exit(launch_id=launch.launch_id, exit_code=1, failure=explain(*report[1:]))
    _, status, verdict, wall_s, cpu_s, peak_kib = report
    code = os.waitstatus_to_exitcode(status)
    isolation = dict(REACHED)
    if launch.spec.network.host:
        isolation["network"] = Level.NONE
    return Exit(
        launch_id=launch.launch_id,
        exit_code=128 - code if code < 0 else code,
        signal=max(-code, 0),
        usage=Usage(wall_s=wall_s, cpu_s=cpu_s, memory_peak_bytes=peak_kib << 10),
        isolation=isolation,
        verdict=Verdict(*verdict) if verdict else None,
    )


def _remove(scratch: Mapping[str, str]) -> None:
    for directory in scratch.values():
        with contextlib.suppress(OSError):
            remove_tree(directory)
