"""The cell's end of a cradle, the compiled program that bears pid 1 of one sandbox after the other, and is them.

It does what `init.run_ahead` does, for a fraction of the price: a fork of a cell copies an interpreter, one of a cradle
next to nothing. It is optional: where there is none, or it fails, `init` does the work, and says what went wrong.
"""

from __future__ import annotations

import _socket
import os
import resource
import select

from bldr_linux import command, init, landlock, steps, syscalls
from bldr_linux.root import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Sequence
    from typing import Any

    from bldr_linux.plan import Base, Plan
else:
    import _signal

# The same numbers stand in cradle.c.
_RUN, _AHEAD, _BIRTH, _RAN, _BORN, _MADE, _LISTENER, _STARTED, _OVER, _FAILED = range(10)
_JOIN = -1
_NO_VERDICT, _CPU, _MEMORY, _PROCESSES, _NOT_STARTED = range(5)
_SOCKET_FD = 3
_INT_BYTES, _FD_BYTES = 8, 4
_FDS_BYTES = _socket.CMSG_SPACE(_FD_BYTES)
_SEQPACKET = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
_IN_A_FILE = b"in file\n"
_NAME = "pid 1 of a sandbox"
_S = 1_000_000_000
_REMEMBERED_AT_MOST = 64
# The kinds of a cell's namespaces that a cradle is to live in, and their names below /proc/self/ns.
_NAMESPACES = (
    (syscalls.CLONE_NEWUSER, "user"),
    (syscalls.CLONE_NEWNS, "mnt"),
    (syscalls.CLONE_NEWNET, "net"),
    (syscalls.CLONE_NEWUTS, "uts"),
    (syscalls.CLONE_NEWIPC, "ipc"),
)


class CradleError(Exception):
    """The cradle is of no use: what is to be done has to be done without it."""


class Cradle:
    """Owns the process; it is the cell's child, lives in the cell's namespaces and ends with it.

    To be made before the cell enters them, because their user would keep the program from having any rights there.
    """

    def __init__(self, program_fd: int, prepared: init.Prepared) -> None:
        self._prepared = prepared
        self._base: Base | None = None
        self._born_last: list[Newborn] = []
        self._where_ahead: list[tuple[str, str]] = []
        self._last: dict[object, steps.Encoded] = {}
        self._texts: dict[object, tuple[int, int, int, bytes, bytes]] = {}
        self._sock, theirs = _socket.socketpair(_socket.AF_UNIX, _SEQPACKET)
        try:
            self.pid = os.posix_spawn(
                f"/proc/self/fd/{program_fd}",
                [_NAME],
                {},
                file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), _SOCKET_FD)],
                # Blocked before pid 1 exists: a signal that comes while it is being set up waits for it.
                setsigmask=init.BLOCKED,
                setsigdef=_signal.valid_signals(),
            )
        except OSError as error:
            self._sock.close()
            raise CradleError from error
        finally:
            theirs.close()

    def move_in(self, base: Base, last_capability: int) -> None:
        """Enter the namespaces that the cell is in, to bear pid 1 for a base."""
        program = steps.ahead(
            syscalls.MACHINE, base, self._prepared.landlock_abi, self._prepared.filter_program(base["on_violation"])
        )
        if program is None:
            raise CradleError
        content, self._where_ahead = program
        fds: list[int] = []
        try:
            for _, name in _NAMESPACES:
                fds.append(os.open(f"/proc/self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC))
            kinds = [kind for kind, _ in _NAMESPACES]
            self._run(steps.start(syscalls.MACHINE, kinds, last_capability), fds)
            self._send(_AHEAD, content)
        except OSError as error:
            raise CradleError from error
        finally:
            for fd in fds:
                os.close(fd)
        self._base = base

    def enter_network(self) -> None:
        """Enter the network namespace that the cell is in now."""
        fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._run(steps.enter(syscalls.MACHINE, syscalls.CLONE_NEWNET), [fd])
        finally:
            os.close(fd)

    def join(self, groups: Sequence[str]) -> None:
        """Enter control groups (of v1), which the cell has entered."""
        fds: list[int] = []
        try:
            for path in groups:
                fds.append(os.open(f"{path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
            self._run(steps.write_to(syscalls.MACHINE, len(fds), b"0"), fds)
        except OSError as error:
            raise CradleError from error
        finally:
            for fd in fds:
                os.close(fd)

    def _run(self, program: bytes, fds: Sequence[int]) -> None:
        self._send(_RUN, program, fds)
        while True:
            numbers, fd = self._hear()
            if numbers[0] == _RAN:
                break
            self._take_birth(numbers, fd)
        if numbers[2]:
            raise CradleError(numbers)

    def _send(self, kind: int, content: bytes, fds: Sequence[int] = ()) -> None:
        try:
            self._sock.sendmsg([kind.to_bytes(_INT_BYTES, "little"), content], _rights(fds))
        except OSError as error:
            raise CradleError from error

    def _hear(self) -> tuple[list[int], int]:
        """The next packet and its descriptor, -1 for none."""
        try:
            data, ancillary, _, _ = self._sock.recvmsg(256, _FDS_BYTES, _socket.MSG_CMSG_CLOEXEC)
        except OSError as error:  # it died, and has not read all that it was sent
            raise CradleError from error
        if not data:
            raise CradleError
        return _numbers(data), _fd(ancillary)

    def bear(self, flags: int, base_fd: int, group_fd: int) -> Newborn:
        """Ask for a pid 1 in fresh namespaces, born into a control group (-1: none)."""
        newborn = Newborn(self)
        fds = (newborn.inner.fileno(), base_fd, *((group_fd,) if group_fd >= 0 else ()))
        try:
            # How many there are, because the kernel drops those that the cradle has no room for.
            numbers = b"".join(number.to_bytes(_INT_BYTES, "little") for number in (flags, len(fds)))
            self._send(_BIRTH, numbers, fds)
        except BaseException:
            newborn.reports.close()
            newborn.inner.close()
            raise
        self._born_last.append(newborn)
        return newborn

    def wait_for(self, newborn: Newborn) -> None:
        """Take what the cradle says of births, until this one has happened."""
        while newborn in self._born_last:
            self._take_birth(*self._hear())

    def _take_birth(self, numbers: list[int], fd: int) -> None:
        newborn = self._born_last.pop(0)
        newborn.born_as = (numbers[1], fd)

    def packet(self, plan: Plan, sampled: Sequence[str], streams: Sequence[int]) -> tuple[bytes, list[tuple[str, str]]]:
        """What pid 1 is to be sent for a launch, and what the steps of it are for."""
        assert self._base is not None
        abi = self._prepared.landlock_abi
        handled = landlock.rights(self._base["landlock"], abi)["write"]
        rights = tuple(landlock.of_stream(fd, handled) for fd in streams)
        key = (plan["cwd"], plan["umask"], plan["landlock"], plan["limits"], rights)
        known = self._last.get(key)
        if known is None:
            limits = [
                command.within(init.and_attendants(limit, 2))
                for limit in plan["limits"]
                if limit[0] != resource.RLIMIT_NOFILE  # the command's alone
            ]
            filter_program = self._prepared.filter_program(self._base["on_violation"])
            known = steps.last(syscalls.MACHINE, self._base, plan, rights, limits, abi, filter_program)
            if len(self._last) >= _REMEMBERED_AT_MOST:
                self._last.clear()
            self._last[key] = known
        program, where = known
        return program + self._command(plan, sampled), where

    def _command(self, plan: Plan, sampled: Sequence[str]) -> bytes:
        assert self._base is not None
        bounds = plan["bounds"]
        limits = [
            bounds[name] if name in sampled and name in bounds else None for name in ("cpu", "memory", "processes")
        ]
        argv = plan["argv"]
        key = (argv[0], plan["env"])
        texts = self._texts.get(key)
        if texts is None:
            texts = self._texts_of(plan)
            if len(self._texts) >= _REMEMBERED_AT_MOST:
                self._texts.clear()
            self._texts[key] = texts
        candidates, variables, temporaries, before, after = texts
        numbers = (
            int(plan["announce"]),
            candidates,
            len(argv),
            variables,
            temporaries,
            -1 if limits[0] is None else int(limits[0] * _S),
            *(-1 if limit is None else int(limit) for limit in limits[1:]),
            int(plan["grace_s"] * _S),
            self._prepared.cpus,
            *_open_files(plan),
        )
        head = b"".join([number.to_bytes(_INT_BYTES, "little", signed=True) for number in numbers])
        into = os.fsencode(plan["into"])
        return b"".join((head, into, b"\0", before, os.fsencode("\0".join(argv)), b"\0", after))

    def _texts_of(self, plan: Plan) -> tuple[int, int, int, bytes, bytes]:
        """How many places, variables and temporary directories, and what stands before and behind the arguments."""
        assert self._base is not None
        places = command.candidates(plan)
        env = [f"{name}={value}" for name, value in plan["env"]]
        temporaries = [path for name, path, *_ in self._base["fresh"] if name == "tmpfs"]
        before = "\0".join((plan["argv"][0], command.not_found(plan), *places, ""))
        after = "\0".join((*env, *temporaries, ""))
        return len(places), len(env), len(temporaries), os.fsencode(before), os.fsencode(after)

    def where(self, stage: int, index: int, where_last: Sequence[tuple[str, str]]) -> tuple[str, str]:
        """What a step that failed was for."""
        if index < 0:
            return ("group", "cgroup.procs") if index == _JOIN else ("fork", "")
        return where_last[index] if stage else self._where_ahead[index]

    def close(self) -> None:
        """End it, and wait for its end."""
        self._sock.close()
        os.kill(self.pid, _signal.SIGKILL)
        os.waitpid(self.pid, 0)


class Newborn:
    """A sandbox that was made ahead and waits for its launch: the counterpart of `resident.Ready`."""

    def __init__(self, cradle: Cradle) -> None:
        self.reports, self.inner = _socket.socketpair(_socket.AF_UNIX, _SEQPACKET)
        self.born_as: tuple[int, int] | None = None
        self._cradle = cradle
        self._plan: Plan | None = None
        self._where_last: list[tuple[str, str]] = []

    @property
    def pid(self) -> int:
        """Its number; waits until it is born."""
        return self._birth()[0]

    @property
    def pidfd(self) -> int:
        """A descriptor that refers to it; the same."""
        return self._birth()[1]

    def _birth(self) -> tuple[int, int]:
        if self.born_as is None:
            self._cradle.wait_for(self)
        assert self.born_as is not None
        if self.born_as[0] < 0:
            raise CradleError
        return self.born_as

    def is_alive(self) -> bool:
        """Whether it can be used, or failed meanwhile."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return not poll.poll(0)

    def namespace(self) -> int:
        """Its mount namespace, when it has come that far: a descriptor that is the caller's to close.

        From then on there is a number, too, for which nobody depends on the cradle.
        """
        pidfd = self.pidfd
        try:
            data, ancillary, _, _ = self.reports.recvmsg(
                256, _FDS_BYTES, _socket.MSG_DONTWAIT | _socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            poll.register(self.reports.fileno(), select.POLLIN)
            if poll.poll()[0][0] == pidfd:
                raise StepError("fork", "", "the first process of the sandbox was killed") from None
            data, ancillary, _, _ = self.reports.recvmsg(256, _FDS_BYTES, _socket.MSG_CMSG_CLOEXEC)
        if _numbers(data)[0] != _MADE:
            raise CradleError
        return _fd(ancillary)

    def give(self, plan: Plan, sampled: Sequence[str], stdio: tuple[int, ...]) -> None:
        """Let it go on with a launch; the descriptors stay the caller's."""
        self._plan = plan
        data, self._where_last = self._cradle.packet(plan, sampled, stdio)
        file_fd = -1
        fds = stdio
        if len(data) > steps.BYTES_AT_MOST:
            file_fd = os.memfd_create("launch")
            while data:
                data = data[os.write(file_fd, data) :]
            data, fds = _IN_A_FILE, (*stdio, file_fd)
        try:
            self.reports.sendmsg([data], _rights(fds))
        except (BrokenPipeError, ConnectionResetError):
            return  # it has ended, and says why, or somebody has ended it
        finally:
            if file_fd >= 0:
                os.close(file_fd)

    def messages(self, data: bytes) -> list[tuple[Any, ...]]:
        """What pid 1 says, in the words of `init`."""
        numbers = _numbers(data)
        kind = numbers[0]
        if kind == _LISTENER:
            return [("listener",)]
        if kind == _STARTED:
            return [("started",)]
        if kind == _FAILED:
            _, stage, index, code = numbers
            return [("failed", *self._cradle.where(stage, index, self._where_last), os.strerror(code), code)]
        assert self._plan is not None
        _, status, verdict, used, children_us, cpu_us, memory_bytes, read_bytes, written_bytes = numbers
        ended = ("ended", status, self._verdict(self._plan["bounds"], status, verdict, used, children_us / 1e6))
        found = {
            "cpu_s": cpu_us / 1e6,
            "memory_peak_bytes": memory_bytes,
            "read_bytes": read_bytes,
            "written_bytes": written_bytes,
        }
        return [ended, ("alone", found)]

    def _verdict(
        self, bounds: dict[str, float], status: int, verdict: int, used: int, cpu_s: float
    ) -> tuple[str, float, float, str] | None:
        if verdict == _CPU:
            return ("cpu", bounds["cpu"], used / _S, "s")
        if verdict == _MEMORY:
            return ("memory", bounds["memory"], used, "bytes")
        if verdict == _PROCESSES:
            return ("processes", bounds["processes"], used, "processes")
        return command.verdict_of(bounds, status, cpu_s) if verdict == _NO_VERDICT else None

    def end(self) -> None:
        """It is not needed."""
        self.reports.close()
        self.inner.close()
        try:
            pid, pidfd = self._birth()
        except CradleError:
            return
        _signal.pidfd_send_signal(pidfd, _signal.SIGKILL)
        os.close(pidfd)
        os.waitpid(pid, 0)


def _open_files(plan: Plan) -> tuple[int, int]:
    """The command's limit of open files, soft and hard; -1 for unlimited."""
    given = [limit for limit in plan["limits"] if limit[0] == resource.RLIMIT_NOFILE]
    _, soft, hard = command.within(given[0] if given else (resource.RLIMIT_NOFILE, -1, -1))
    return soft, hard


def _rights(fds: Sequence[int]) -> list[tuple[int, int, bytes]]:
    packed = b"".join(fd.to_bytes(_FD_BYTES, "little") for fd in fds)
    return [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)] if fds else []


def _fd(ancillary: Sequence[tuple[int, int, bytes]]) -> int:
    return int.from_bytes(ancillary[0][2][:_FD_BYTES], "little") if ancillary else -1


def _numbers(data: bytes) -> list[int]:
    return memoryview(data).cast("q").tolist()
