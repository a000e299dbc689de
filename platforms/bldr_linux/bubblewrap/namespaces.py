"""Makes the process inside: its namespaces, who it is there, and the way its real process id comes back."""

from __future__ import annotations

import errno
import os

from bldr_linux import syscalls
from bldr_linux.bubblewrap import capabilities
from bldr_linux.bubblewrap.failure import FatalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bldr_linux.bubblewrap.values import Options

_CREDENTIALS_BYTES = 12


class Identity:
    """Who calls, and who the command is to be."""

    def __init__(self, options: Options) -> None:
        self.real_uid, self.real_gid = os.getuid(), os.getgid()
        self.uid = self.real_uid if options.uid is None else options.uid
        self.gid = self.real_gid if options.gid is None else options.gid


def clone(options: Options) -> tuple[int, int]:
    """(pid, pidfd) in the parent, (0, -1) in the child, which is in the new namespaces."""
    flags = syscalls.CLONE_NEWNS
    for wanted, flag in (
        (options.unshare_user, syscalls.CLONE_NEWUSER),
        (options.unshare_pid and options.pidns_fd is None, syscalls.CLONE_NEWPID),
        (options.unshare_net, syscalls.CLONE_NEWNET),
        (options.unshare_ipc, syscalls.CLONE_NEWIPC),
        (options.unshare_uts, syscalls.CLONE_NEWUTS),
        (options.unshare_cgroup, syscalls.CLONE_NEWCGROUP),
    ):
        flags |= flag if wanted else 0
    try:
        return syscalls.clone(flags)
    except OSError as error:
        raise _clone_failure(options, error) from error


def _clone_failure(options: Options, error: OSError) -> FatalError:
    if options.unshare_user and error.errno == errno.EINVAL:
        return FatalError(
            "Creating new namespace failed, likely because the kernel does not support user namespaces.  "
            "bwrap must be installed setuid on such systems."
        )
    if options.unshare_user and error.errno == errno.EPERM:
        return FatalError(
            "No permissions to create a new namespace, likely because the kernel does not allow non-privileged user "
            "namespaces. On e.g. debian this can be enabled with 'sysctl kernel.unprivileged_userns_clone=1'."
        )
    if error.errno == errno.ENOSPC:
        return FatalError(
            "Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)"
        )
    return FatalError.of("Creating new namespace failed", error)


def join_users(fd: int) -> None:
    """Enter the caller's user namespace, which gives the capabilities over what is made next."""
    try:
        syscalls.join_namespace(fd, syscalls.CLONE_NEWUSER)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise FatalError(
                "Joining the specified user namespace failed, "
                "it might not be a descendant of the current user namespace."
            ) from error
        raise FatalError.of("Joining specified user namespace failed", error) from error


def join_second_users(fd: int) -> None:
    """Enter the user namespace that the command is to run in."""
    try:
        syscalls.join_namespace(fd, syscalls.CLONE_NEWUSER)
    except OSError as error:
        raise FatalError.of("Setting userns2 failed", error) from error


def become(identity: Identity) -> None:
    """Change to the users asked for; a joined user namespace may hold several."""
    if identity.uid != identity.real_uid:
        try:
            os.setuid(identity.uid)
        except OSError as error:
            raise FatalError.of(f"unable to switch to uid {identity.uid}", error) from error
    if identity.gid != identity.real_gid:
        try:
            os.setgid(identity.gid)
        except OSError as error:
            raise FatalError.of(f"unable to switch to gid {identity.gid}", error) from error


def write_maps(proc_fd: int, users: tuple[int, int], groups: tuple[int, int], *, deny_groups: bool) -> None:
    """Map one user and one group, each (inside, outside), in the user namespace of this process."""
    _write(proc_fd, "self/uid_map", "%d %d 1\n" % users, "setting up uid map")  # noqa: UP031 - a pair
    if deny_groups:
        _write(proc_fd, "self/setgroups", "deny\n", "error writing to setgroups")
    _write(proc_fd, "self/gid_map", "%d %d 1\n" % groups, "setting up gid map")  # noqa: UP031


def _write(proc_fd: int, path: str, content: str, what: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc_fd)
        try:
            os.write(fd, content.encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise FatalError.of(what, error) from error


def enter_second_users(options: Options, identity: Identity, proc_fd: int, outer: tuple[int, int], mask: int) -> None:
    """A user namespace inside the first: with the command's own ids again, or with the last one that may be made."""
    if options.disable_userns:
        _write(proc_fd, "sys/user/max_user_namespaces", "1", "cannot open /proc/sys/user/max_user_namespaces")
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
    except OSError as error:
        raise FatalError.of("unshare user ns", error) from error
    capabilities.bound(mask)
    write_maps(proc_fd, (identity.uid, outer[0]), (identity.gid, outer[1]), deny_groups=False)


def check_no_more_users() -> None:
    """Fail when yet another user namespace can be made."""
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
    except OSError:
        return
    raise FatalError("creation of new user namespaces was not disabled as requested")


class PidRoute:
    """Brings the process id of a grandchild back, translated by the kernel into this process's namespace."""

    def __init__(self) -> None:
        import _socket

        self._near, self._far = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self._near.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)

    def send(self) -> None:
        """Say who this process is."""
        self._near.close()
        self._far.send(b"\0")
        self._far.close()

    def receive(self) -> int:
        """The process id of the one that said so."""
        import _socket

        self._far.close()
        content, ancillary, _, _ = self._near.recvmsg(1, _socket.CMSG_SPACE(_CREDENTIALS_BYTES))
        self._near.close()
        if not content or not ancillary:
            raise FatalError("No pid returned on socket")
        return int.from_bytes(ancillary[0][2][:4], "little")


def enter_pid_namespace(options: Options, route: PidRoute) -> None:
    """Come back as a process in the caller's process namespace, or in a new one below it."""
    assert options.pidns_fd is not None
    try:
        syscalls.join_namespace(options.pidns_fd, syscalls.CLONE_NEWPID)
    except OSError as error:
        raise FatalError.of("Setting pidns failed", error) from error
    _continue_in_child()
    if options.unshare_pid:
        try:
            syscalls.unshare(syscalls.CLONE_NEWPID)
        except OSError as error:
            raise FatalError.of("unshare pid ns", error) from error
        _continue_in_child()
    route.send()


def _continue_in_child() -> None:
    try:
        pid = os.fork()
    except OSError as error:
        raise FatalError.of("Can't fork for --pidns", error) from error
    if pid:
        os._exit(0)
