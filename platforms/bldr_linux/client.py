"""The engine's end of the launcher: starts it, hands launches over, turns its answers into `Exit`s."""

import contextlib
import os
import select
import signal
import stat
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from bldr.api import Exit, IsolationError, Launch, MadeFile, SetupFailure, Started, Usage
from bldr_linux import devices, session, wire
from bldr_linux.cgroups.tree import Tree
from bldr_linux.compile import Host, RefusedError, compile_probe
from bldr_linux.ends import ended, failed, usage_of
from bldr_linux.failures import explain
from bldr_linux.pool import Cell, Pool
from bldr_linux.reuse import Compiler
from bldr_linux.spawn import Process, start

if TYPE_CHECKING:
    from bldr_linux.network import Networks

_RESOLVER = "/etc/resolv.conf"
_TURN_FDS = 2
_BEGUN_BYTES = 1 << 15  # of numbers of eight bytes
_GONE = SetupFailure("the launcher died before the action ended", "look for the reason in the kernel's log (`dmesg`)")


class LinuxLauncher:
    """Owns the launcher process, its cells and the control groups that they work in; see `bldr.api.Launcher`."""

    def __init__(
        self,
        host: Host,
        owner: tuple[int, int] | None,
        tree: Tree,
        *,
        outlives: bool = False,
        cells: int = 0,
        program_fd: int = -1,
        waits: bool = True,
        process: Process | None = None,
    ) -> None:
        """`cells` are made at once, while the caller has other things to do. Unless this `waits` for the launcher to
        say that it works, the first launch does.

        `program_fd` is the compiled program that bears pid 1, -1 for none; it stays the caller's. `process` was started
        for us beforehand.
        """
        self.owner = owner
        self._host = host
        self._tree = tree
        self._outlives = outlives
        self._compiler = Compiler(host)
        self._started: list[Started] = []
        self._exits: list[Exit] = []
        self._networks: Networks | None = None
        self._alive = True
        self._owed_turns = 0
        try:
            process = process or start()
            begun = self._open_descriptors()
        except OSError as error:
            if process is not None:
                process.end()
            tree.close()
            raise IsolationError(
                f"the sandbox's launcher cannot be started: {(error.strerror or str(error)).lower()}",
                "raise the caller's limits (`ulimit -u`, `ulimit -n`), or run less at once",
            ) from error
        self._sock, self._pid = process
        self._pool = Pool(self._sock, self._epoll)
        main_thread = threading.current_thread() is threading.main_thread()
        try:
            # The signal of a parent's death comes when the thread that spawned the process ends.
            rights = (self._turns, begun, *((program_fd,) if program_fd >= 0 else ()))
            self._ask_to_open(host.root, rights, die_with_parent=main_thread and not outlives)
            if waits:
                self._wait_until_open()
        except BaseException:
            self.close()
            raise
        finally:
            os.close(begun)
        self._pool.add(cells)

    def _open_descriptors(self) -> int:
        """What is listened to, and what launches take turns by; gives the end of a pipe that cells write to."""
        self._epoll = select.epoll()
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._event, select.EPOLLIN)
        self._turns = os.eventfd(0, os.EFD_SEMAPHORE | os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._begun, begun = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        return begun

    def _ask_to_open(self, root: str, rights: tuple[int, ...], *, die_with_parent: bool) -> None:
        message = ("open", root, self.owner, die_with_parent, self._tree.description, len(rights) > _TURN_FDS)
        self._is_open = False
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # who waits for the answer will say so
            self._sock.sendmsg([wire.frame(message)], wire.descriptors(rights))

    def _wait_until_open(self) -> None:
        receiver = wire.Receiver(self._sock)
        answers: list[tuple[Any, ...]] | None = []
        while not answers:
            answers = receiver.receive()
            if answers is None:
                raise IsolationError("the sandbox's launcher does not start", "see its message above")
        if answers[0][0] == "refused":
            _, reason, _, file = answers[0]
            if file:
                raise IsolationError(
                    f'the launcher cannot enter the control group "{os.path.dirname(file)}": {reason.lower()}',
                    "run under `systemd-run --user --scope -p Delegate=yes`, where the group is the caller's own",
                )
            raise IsolationError(
                f'the sandbox\'s launcher cannot work in "{self._host.root}": {reason.lower()}',
                "choose another `--cache-dir`",
            )
        self._is_open = True
        self._epoll.register(self._sock.fileno(), select.EPOLLIN)

    def fileno(self) -> int:
        """See `bldr.api.Launcher`."""
        return self._epoll.fileno()

    def start(self, launch: Launch) -> None:
        """See `bldr.api.Launcher`."""
        if not self._is_open:
            self._wait_until_open()
        stdio = (launch.stdin, launch.stdout, launch.stderr)
        try:
            self._check(launch, stdio)
            host = self._host._replace(nodes=devices.look(launch.spec.devices))
            compiled = self._compiler.compile(self._with_resolver(launch), host)
        except RefusedError as refused:
            self._answer(failed(launch.launch_id, refused.failure))
            return
        if not self._alive:
            self._answer(failed(launch.launch_id, _GONE))
            return
        cell = self._pool.take(compiled)
        cell.launch = launch
        cell.isolation = compiled.isolation
        try:
            known: Mapping[str, object] = cell.plan or {}
            changed = {key: value for key, value in compiled.plan.items() if key not in known or known[key] != value}
            cell.send(("start", launch.launch_id, changed, launch.in_turn), stdio)
        except BaseException:
            self._pool.give_back(cell)
            raise
        cell.launches += 1
        if compiled.base:
            self._pool.keep_spare(compiled)

    def _check(self, launch: Launch, stdio: tuple[int, int, int]) -> None:
        if launch.spec.process.map_caller and self.owner is not None:
            raise RefusedError("the action must run as the caller, but this launcher has given up the caller's rights")
        if not launch.spec.process.kill_on_parent_exit and not self._outlives:
            raise RefusedError("the action is to outlive its parent, but this launcher ends with it")
        if any(stat.S_ISDIR(os.fstat(fd).st_mode) for fd in set(stdio)):
            raise RefusedError("a directory cannot be a standard stream: it would lead out of the sandbox")
        if launch.spec.network.bridge is not None:
            failure = self._network().check()
            if failure is not None:
                raise RefusedError(failure.message, failure.hint)

    def _with_resolver(self, launch: Launch) -> Launch:
        """On a bridge that leads out, whom to ask for names; what the spec itself puts there goes first."""
        spec = launch.spec
        if spec.network.bridge is None:
            return launch
        known = {
            *(file.path for file in spec.files),
            *(item.path for item in spec.inputs),
            *(link.path for link in spec.links),
        }
        if known & {_RESOLVER, "/etc"}:
            return launch
        resolver = MadeFile(_RESOLVER, self._network().resolver(spec.network.bridge))
        return msgspec.structs.replace(launch, spec=msgspec.structs.replace(spec, files=(*spec.files, resolver)))

    def _answer(self, end: Exit) -> None:
        self._exits.append(end)
        os.eventfd_write(self._event, 1)

    def begin_probe(self) -> Cell:
        """Have a sandbox set up for no command; `end_probe` says what came of it."""
        cell = self._pool.take()
        with open(os.devnull, "r+b") as null:
            cell.send(("start", 0, compile_probe(self._host), False), (null.fileno(),) * 3)
        return cell

    def end_probe(self, cell: Cell) -> tuple[bool, SetupFailure | None]:
        """Whether processes can be counted, and what went wrong if anything did. Raises IsolationError where the
        launcher cannot work."""
        if not self._is_open:
            self._wait_until_open()
        report = None
        while report is None:
            messages = cell.receiver.receive()
            if messages is None:
                self._lose()
                return False, _GONE
            for message in messages:
                if message[0] == "lost":
                    return False, self._retire(cell, message)
                report = message[2] if message[0] == "exit" else report
        self._pool.give_back(cell)
        if report[0] == "ready":
            return report[1], None
        if report[0] == "failed":
            return False, explain(*report[1:])
        return False, SetupFailure("the sandbox was killed while it was being tried")

    def allow(self, places: int) -> None:
        """See `bldr.api.Turns`."""
        os.eventfd_write(self._turns, places)

    def begun(self) -> Sequence[int]:
        """See `bldr.api.Turns`."""
        try:
            return memoryview(os.read(self._begun, _BEGUN_BYTES)).cast("q").tolist()
        except BlockingIOError:
            return ()

    def go_on(self) -> None:
        """See `bldr.api.Turns`."""
        if self._owed_turns:
            os.eventfd_write(self._turns, self._owed_turns)
            self._owed_turns = 0

    def recall(self) -> None:
        """See `bldr.api.Turns`."""
        for cell in self._pool:
            if cell.launch is not None and cell.launch.in_turn and self._alive:
                cell.send(("recall",))

    def kill(self, launch_id: int) -> None:
        """See `bldr.api.Launcher`."""
        self._tell(launch_id, ("kill",))

    def signal(self, launch_id: int, number: int) -> None:
        """See `bldr.api.Launcher`."""
        self._tell(launch_id, ("kill",) if number == signal.SIGKILL else ("signal", int(number)))

    def measure(self, launch_id: int) -> Usage | None:
        """See `bldr.api.Launcher`."""
        cell = self._pool.running(launch_id)
        if cell is None or not self._tree.levels:
            return None
        cell.send(("measure",))
        usage = None
        while cell.launch is not None and usage is None:
            messages = cell.receiver.receive()
            if messages is None:
                self._lose()
                break
            for message in messages:
                if message[0] == "measured":
                    usage = usage_of(0.0, message[1])
                else:  # the end may have come in the same read
                    self._take(cell, message)
        return usage

    def _tell(self, launch_id: int, message: tuple[Any, ...]) -> None:
        cell = self._pool.running(launch_id)
        if cell is not None and self._alive:
            cell.send(message)

    def started(self) -> Sequence[Started]:
        """See `bldr.api.Launcher`."""
        self._receive()
        started, self._started = self._started, []
        self._wake_again(self._exits)
        return started

    def reap(self) -> Sequence[Exit]:
        """See `bldr.api.Launcher`."""
        self._receive()
        exits, self._exits = self._exits, []
        self._wake_again(self._started)
        return exits

    def _wake_again(self, left: Sequence[Started] | Sequence[Exit]) -> None:
        """What was taken and not handed out keeps the descriptor readable."""
        if left:
            os.eventfd_write(self._event, 1)

    def _receive(self) -> None:
        ready = {fd for fd, _ in self._epoll.poll(0)}
        if self._event in ready:
            os.eventfd_read(self._event)
        for fd in ready - {self._event} if self._alive else ():
            cell = self._pool.by_descriptor(fd)
            messages = cell.receiver.receive() if cell else None
            if cell is None or messages is None:
                self._lose()
                return
            for message in messages:
                self._take(cell, message)

    def _take(self, cell: Cell, message: tuple[Any, ...]) -> None:
        launch = cell.launch
        if message[0] == "lost":
            self._retire(cell, message)
        if launch is None:
            return
        if message[0] == "started":
            # The kernel drops descriptors that are too many for us.
            pidfd = cell.receiver.fds.pop(0) if cell.receiver.fds else -1
            pid = message[2] or (_pid_of(pidfd) if pidfd >= 0 else -1)
            cell.send(("go",))
            self._started.append(Started(launch.launch_id, pid, pidfd))
            os.eventfd_write(self._event, 1)
        elif message[0] == "waiting":
            self._connect(cell, launch, message[2])
        elif message[0] == "exit":
            warnings: tuple[str, ...] = ()
            if cell.lease is not None:
                failure = self._network().release(cell.lease)
                warnings = (*cell.lease.warnings, *([failure.message] if failure else ()))
                cell.lease = None
            self._pool.give_back(cell)
            *report, owes_turn = message[2:]
            self._owed_turns += owes_turn
            end = ended(launch.launch_id, cell.isolation, *report)
            self._answer(msgspec.structs.replace(end, warnings=warnings) if warnings else end)

    def _connect(self, cell: Cell, launch: Launch, pid: int) -> None:
        """Give the sandbox its place on a bridge, then let it go on; or end it, with the reason."""
        bridge = launch.spec.network.bridge
        assert bridge is not None
        from bldr_linux.network import NetworkError

        try:
            cell.lease = self._network().connect(pid, bridge)
        except NetworkError as error:
            cell.send(("refuse", error.failure.message, error.failure.hint))
            return
        except OSError as error:
            cell.send(("refuse", f"cannot make the network: {(error.strerror or str(error)).lower()}", ""))
            return
        cell.send(("go",))

    def _network(self) -> "Networks":
        if self._networks is None:
            from bldr_linux.network import Networks  # netlink is dear to import, and few launches need it

            self._networks = Networks()
        return self._networks

    def _retire(self, cell: Cell, message: tuple[Any, ...]) -> SetupFailure:
        """The launcher could not make this one; the others go on."""
        failure = explain("fork", "", *message[1:])
        self._pool.remove(cell)
        if cell.launch is not None:
            self._answer(failed(cell.launch.launch_id, failure))
            cell.launch = None
        return failure

    def _lose(self) -> None:
        """A part of the launcher is dead, so all of it has to be: whoever was started dies with it, and is reported."""
        if not self._alive:
            return
        self._alive = False
        self._epoll.unregister(self._sock.fileno())
        # Nobody waits for the launcher before that: as long as it is there, dead or alive, its number is its own.
        while session.kill(self._pid):
            time.sleep(0.005)
        self._wait()
        for cell in self._pool:
            if cell.launch is not None:
                self._answer(failed(cell.launch.launch_id, _GONE))
                cell.launch = None
        self._forget()

    def _wait(self) -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def _forget(self) -> None:
        self._pool.close()
        if self._networks is not None:
            self._networks.close()
            self._networks = None
        self._tree.close()

    def close(self) -> None:
        """See `bldr.api.Launcher`."""
        if self._epoll.closed:
            return
        self._sock.close()
        self._pool.hang_up()
        if self._alive:
            self._alive = False
            self._wait()
        self._forget()
        for started in self._started:
            if started.pidfd >= 0:
                os.close(started.pidfd)
        self._started.clear()
        self._epoll.close()
        for fd in (self._event, self._turns, self._begun):
            os.close(fd)


def _pid_of(pidfd: int) -> int:
    """The process that a descriptor refers to, -1 when it has ended; pidfd_open(2), proc_pid_fdinfo(5)."""
    with open(f"/proc/self/fdinfo/{pidfd}", "rb") as file:
        for line in file:
            if line.startswith(b"Pid:"):
                return int(line[4:])
    return -1
