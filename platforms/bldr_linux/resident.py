"""What a cell keeps from one launch to the next: its namespaces, and a root directory that nobody can change.

A cell that is to keep a base (see `reuse`) moves into user, network, host name and mount namespaces of its own. The
base root is assembled in another mount namespace, which has no way back to the host; for every launch pid 1 is born
into fresh pid, IPC, host name and control group namespaces and enters a copy of that one. It is born ahead, as soon as
the launch before is over, so that of all this only the last steps are left to be waited for.

The network namespace is kept only while it is as it was made: see `pristine`.
"""

from __future__ import annotations

import _socket
import errno
import marshal
import os
import select

from bldr_linux import init, landlock, syscalls
from bldr_linux.apply import apply, attach, bound, overlaid
from bldr_linux.cradle import Cradle, CradleError, Newborn
from bldr_linux.pristine import Network
from bldr_linux.root import Root, StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any

    from bldr_linux.plan import Base, Operation, Plan
else:
    import _signal

_KEPT_NAMESPACES = (
    syscalls.CLONE_NEWUSER
    | syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWNET
    | syscalls.CLONE_NEWUTS
    | syscalls.CLONE_NEWIPC
)
FRESH_NAMESPACES = syscalls.CLONE_NEWPID | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWCGROUP
"""What pid 1 is born into; its mount namespace it makes itself, out of the base's."""
_SEQPACKET = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
_FD_BYTES = 4
_REHEARSALS = 8


class Resident:
    """Owns the namespaces of the calling process, a cell, and the base root; every failure is a StepError."""

    def __init__(self, base: Base, prepared: init.Prepared, *, die_with_parent: bool) -> None:
        self.base = base
        self._prepared = prepared
        self._die_with_parent = die_with_parent
        self._entered = False
        self._sources: dict[str, tuple[int, int]] = {}
        self._root: Root | None = None
        self._network: Network | None = None
        self._is_soiled = False
        self._own_fd = -1
        self.base_fd = -1
        self.cradle: Cradle | None = None
        """Who bears pid 1; None where `init` does it."""
        if prepared.cradle_fd >= 0:
            try:  # noqa: SIM105 - contextlib is not imported here
                self.cradle = Cradle(prepared.cradle_fd, prepared)
            except CradleError:
                pass

    def prepare(self, *, looks: bool = True) -> None:
        """Make what is not there or, if one `looks`, not good any more; whoever has a launch has to look."""
        try:
            if not self._entered:
                syscalls.unshare(_KEPT_NAMESPACES)
                self._entered = True
        except OSError as error:
            raise StepError.of("clone", "", error) from error
        is_new = self._root is None
        if is_new:
            self._move_in()
        if self._network is None:
            _step("loopback", self._make_network)
        if is_new and self.cradle is not None:
            try:
                self.cradle.move_in(self.base, self._prepared.last_capability)
            except CradleError:
                self.lose_cradle()
        if self.base_fd < 0 or (looks and not self.is_up_to_date()):
            self._assemble()

    def _move_in(self) -> None:
        _step("id-maps", init.write_id_maps, self.base["uid"], self.base["gid"], self._prepared)
        if self._die_with_parent:
            _step("id-maps", syscalls.prctl, syscalls.PR_SET_PDEATHSIG, _signal.SIGKILL)
        _step("hostname", syscalls.set_hostname, self.base["hostname"])
        _step("capabilities", syscalls.bound_capabilities, self._prepared.last_capability)
        try:
            syscalls.make_mounts_private()
            flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
            host_fd = os.open("/", flags)
            self._own_fd = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            self._root = Root(os.dup(host_fd), host_fd, os.open(".", flags))
        except OSError as error:
            raise StepError.of("enter-root", "/", error) from error

    def _make_network(self) -> None:
        if self._is_soiled:
            syscalls.unshare(syscalls.CLONE_NEWNET)
            if self.cradle is not None:
                try:
                    self.cradle.enter_network()
                except CradleError:
                    self.lose_cradle()
            self._is_soiled = False
        syscalls.bring_loopback_up()
        self._network = Network()

    def tidy(self, own_sockets: int) -> bool:
        """After a launch: give the network namespace up where it tells of what happened in it; False then."""
        if self._network is not None and not self._network.is_pristine(own_sockets):
            self.soil()
        return not self._is_soiled

    def soil(self) -> None:
        """Give the network namespace up: the next sandbox is born into another."""
        if self._network is not None:
            self._network.close()
            self._network = None
            self._is_soiled = True

    def is_up_to_date(self) -> bool:
        """Whether what stands at the sources is still what was shown when the root was built."""
        return self._sources == self._look()

    def _look(self) -> dict[str, tuple[int, int]]:
        """Which files and directories stand at the sources now; that one is missing, whoever needs it finds out."""
        found = {}
        for name, _, *arguments in self.base["kept"]:
            if name == "bind":
                try:
                    status = os.stat(arguments[0])
                except OSError:
                    continue
                found[arguments[0]] = (status.st_dev, status.st_ino)
        return found

    def _assemble(self) -> None:
        """Build the base root in a mount namespace of its own, by a child, because there is no way back from it."""
        if self.base_fd >= 0:
            os.close(self.base_fd)
            self.base_fd = -1
        self._sources = self._look()
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _SEQPACKET)
        try:
            pid = os.fork()
        except OSError as error:
            raise StepError.of("fork", "", error) from error
        if pid == 0:
            _assemble_and_end(self.base, theirs)
        theirs.close()
        data, ancillary, _, _ = ours.recvmsg(1 << 16, _socket.CMSG_SPACE(_FD_BYTES), _socket.MSG_CMSG_CLOEXEC)
        ours.close()
        os.waitpid(pid, 0)
        if not data:
            raise StepError("bug", "base", "whoever was to build the root directory is gone")
        failure = marshal.loads(data)  # noqa: S302 - it is our child
        if failure:
            raise StepError(*failure)
        self.base_fd = int.from_bytes(ancillary[0][2][:_FD_BYTES], "little")

    def lose_cradle(self) -> None:
        """Do without it from now on."""
        if self.cradle is not None:
            self.cradle.close()
            self.cradle = None

    def bear(self, group_fd: int) -> Newborn | Ready:
        """A sandbox ahead of its launch. Raises OSError, and CradleError where the cradle is to be given up."""
        if self.cradle is not None:
            return self.cradle.bear(FRESH_NAMESPACES, self.base_fd, group_fd)
        return Ready(self, self._prepared, group_fd)

    def rehearse(self) -> None:
        """Do some times, in this process and for nothing, what every pid 1 does ahead.

        The interpreter specialises code that it has run a few times: a pid 1 that is born with that already done is
        faster, and writes to less of the memory that it shares with this process.
        """
        assert self._root is not None
        try:
            for _ in range(_REHEARSALS):
                root, interprocess = init.copy_root(self.base, self.base_fd)
                try:
                    abi = self._prepared.landlock_abi
                    landlock.Wall(self.base["landlock"], abi, interprocess.queues_fd).abandon()
                finally:
                    interprocess.close()
                    root.close()
        finally:
            syscalls.join_namespace(self._own_fd, syscalls.CLONE_NEWNS)
            os.fchdir(self._root.base_fd)

    def furnish(self, plan: Plan, namespace_fd: int) -> None:
        """Mount what is the launch's own in a copy of the base root."""
        if not plan["operations"]:
            return
        assert self._root is not None
        mounts: list[tuple[int, str, bool]] = []
        try:
            for operation in plan["operations"]:
                mounts.append(self._mount(self._root, operation))
            syscalls.join_namespace(namespace_fd, syscalls.CLONE_NEWNS)
            try:
                fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                root = Root(fd, os.dup(fd), os.dup(fd))
                while mounts:
                    mount_fd, path, is_directory = mounts.pop(0)
                    attach(root, path, mount_fd, directory=is_directory)
                root.close()
            finally:
                syscalls.join_namespace(self._own_fd, syscalls.CLONE_NEWNS)
                os.fchdir(self._root.base_fd)
        except OSError as error:
            raise StepError.of("enter-root", "/", error) from error
        finally:
            for mount_fd, _, _ in mounts:
                os.close(mount_fd)

    def _mount(self, host: Root, operation: Operation) -> tuple[int, str, bool]:
        """A detached mount, its place, and whether that is a directory."""
        name, path, *arguments = operation
        try:
            if name == "overlay":
                return overlaid(host, *arguments), path, True
            fd, is_directory = bound(host, *arguments)
        except OSError as error:
            raise StepError.of(name, path, error) from error
        return fd, path, is_directory


class Ready:
    """A sandbox that was made ahead and waits for its launch: its pid 1 and the sockets between it and the cell."""

    def __init__(self, resident: Resident, prepared: init.Prepared, group_fd: int) -> None:
        # Packets, so that a message is whole or not there, and one of them may carry descriptors.
        self.reports, self.inner = _socket.socketpair(_socket.AF_UNIX, _SEQPACKET)
        # Blocked before pid 1 exists: a signal that comes while it is being set up waits for it.
        mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, init.BLOCKED)
        try:
            self.pid, self.pidfd, group_fd = syscalls.clone_in_group(FRESH_NAMESPACES, group_fd)
            if self.pid == 0:
                init.run_ahead(resident.base, resident.base_fd, self.inner.fileno(), prepared, group_fd)
        except OSError:
            self.reports.close()
            self.inner.close()
            raise
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)

    def messages(self, data: bytes) -> list[tuple[Any, ...]]:
        """What pid 1 says."""
        return [marshal.loads(data)]  # noqa: S302 - pid 1 is ours

    def is_alive(self) -> bool:
        """Whether it can be used, or failed meanwhile."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return not poll.poll(0)

    def namespace(self) -> int:
        """Its mount namespace, when pid 1 has come that far: a descriptor that is the caller's to close."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        poll.register(self.reports.fileno(), select.POLLIN)
        poll.poll()
        try:
            data, ancillary, _, _ = self.reports.recvmsg(
                1 << 16, _socket.CMSG_SPACE(_FD_BYTES), _socket.MSG_DONTWAIT | _socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            raise StepError("fork", "", "the first process of the sandbox was killed") from None
        kind, *arguments = marshal.loads(data)  # noqa: S302 - pid 1 is ours
        if kind == "failed":
            raise StepError(*arguments)
        return int.from_bytes(ancillary[0][2][:_FD_BYTES], "little")

    def give(self, plan: Plan, sampled: list[str], stdio: tuple[int, ...]) -> None:
        """Let it go on with a launch; the descriptors stay the caller's."""
        content: tuple[Any, ...] = (plan, sampled)
        data = marshal.dumps(content)
        file_fd = -1
        fds = stdio
        if len(data) > init.PLAN_BYTES:
            file_fd = os.memfd_create("plan")
            while data:
                data = data[os.write(file_fd, data) :]
            data, fds = init.IN_A_FILE, (*stdio, file_fd)
        packed = b"".join(fd.to_bytes(_FD_BYTES, "little") for fd in fds)
        try:
            self.reports.sendmsg([data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)])
        except OSError as error:
            # It has ended, and says why, or somebody has ended it.
            if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise
        finally:
            if file_fd >= 0:
                os.close(file_fd)

    def end(self) -> None:
        """It is not needed."""
        self.reports.close()
        self.inner.close()
        _signal.pidfd_send_signal(self.pidfd, _signal.SIGKILL)
        os.close(self.pidfd)
        os.waitpid(self.pid, 0)


def _step(name: str, function: Any, *arguments: Any) -> None:
    try:
        function(*arguments)
    except OSError as error:
        raise StepError.of(name, "", error) from error


def _assemble_and_end(base: Base, sock: _socket.socket) -> None:
    """In the child: build the root, and hand its mount namespace over."""
    failure: tuple[Any, ...] = ()
    rights: list[tuple[int, int, bytes]] = []
    try:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        fd = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        apply(base["kept"])
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(_FD_BYTES, "little"))]
    except StepError as failed:
        failure = (failed.step, failed.path, failed.reason, failed.errno)
    except OSError as error:
        failure = ("enter-root", "/", error.strerror or str(error), error.errno or 0)
    except BaseException as error:  # a bug, but the caller must hear of it
        failure = ("bug", type(error).__name__, str(error), 0)
    try:
        sock.sendmsg([marshal.dumps(failure)], rights)
    finally:
        os._exit(0)
