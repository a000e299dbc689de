"""pid 1 of a sandbox: sets it up, then looks after the command, or becomes it.

The restrictions are put on pid 1 itself and the command inherits them, so that it can be started with `posix_spawn`,
which copies no memory. What happens goes to the cell as packets on a socket that no other process holds:

    ("waiting",)              the network is there to be filled; goes on when it is answered
    ("listener",)             with a descriptor on which forbidden system calls are to be received
    ("started",)              the command runs; with a descriptor that refers to it, and goes on when it is answered,
                              unless it is pid 1 itself
    ("made",)                 with its mount namespace, where the sandbox is made ahead
    ("alone", used)           no other process is left; comes after "ended" where the sandbox was made ahead
    ("ended", status, verdict)  ("failed", step, path, reason, errno)  ("ready", counts_processes)    last of all
"""

from __future__ import annotations

import _socket
import errno
import marshal
import os
import resource
import select
import time

from bldr_linux import command, landlock, seccomp, syscalls
from bldr_linux.apply import apply, apply_in, attach, new_proc
from bldr_linux.interprocess import Interprocess
from bldr_linux.root import Root, StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

    from bldr_linux.plan import Base, Plan
else:
    # The C half of `signal`: the other half imports enum, which is dear to start and to copy at every fork.
    import _signal

_REPORT_FD, _BASE_FD = 3, 4
_CELL_ALONE = 1
_STREAMS = 3
_SENDING_TRIES, _SENDING_PAUSE_S = 10_000, 0.001
_BLOCK_BYTES = 512
PLAN_BYTES = 1 << 16
"""The largest plan that the cell sends as a packet."""
IN_A_FILE = b"file"
"""Sent in place of a larger one, which is in the file that comes last of the descriptors."""
_DESCRIPTORS = 64
_OOM_SCORE = b"1000"  # the first to be killed, before the processes of whoever builds
BLOCKED = (_signal.SIGCHLD, *command.FORWARDED)
"""Signals that must be blocked when pid 1 begins."""


class Prepared:
    """What is the same for every launch, worked out once by the launcher before it has a child."""

    def __init__(self, cradle_fd: int = -1) -> None:
        """`cradle_fd` is the compiled program of `cradle`, -1 for none."""
        self.cradle_fd = cradle_fd
        self.filters = {"deny": syscalls.Filter(seccomp.program(syscalls.MACHINE))}
        self.landlock_abi = syscalls.landlock_abi()
        self.cpus = os.cpu_count() or 1
        self.host_uid, self.host_gid = os.geteuid(), os.getegid()
        with open("/proc/sys/kernel/cap_last_cap", "rb") as file:
            self.last_capability = int(file.read())

    def filter(self, on_violation: str) -> syscalls.Filter:
        """The system call filter; the kind that nearly all launches have is made beforehand."""
        return self.filters.get(on_violation) or syscalls.Filter(seccomp.program(syscalls.MACHINE, on_violation))

    def filter_program(self, on_violation: str) -> bytes:
        """The same as bytes."""
        return seccomp.program(syscalls.MACHINE, on_violation)


def run(
    plan: Plan, stdio: tuple[int, ...], report_fd: int, prepared: Prepared, sampled: Sequence[str], group_fd: int = -1
) -> None:
    """Live and die as pid 1; `BLOCKED` are blocked, `report_fd` is the socket to the cell.

    `sampled` names the limits that nobody outside can measure; `group_fd` is a control group that is to be joined.
    """

    def launch() -> tuple[Any, ...]:
        _take_descriptors(stdio, report_fd)
        if group_fd >= 0:
            _join(group_fd)
        syscalls.close_range(_REPORT_FD + 1)
        if not plan["outlives"]:
            _die_with_the_cell()
        _set_up(plan, prepared)
        return _run_command(plan, prepared, sampled)

    _report(launch)


def run_ahead(base: Base, base_fd: int, report_fd: int, prepared: Prepared, group_fd: int = -1) -> None:
    """The same with all that needs no plan done ahead: the cell sends the plan of a launch when there is one.

    The caller is in the user, network and host name namespaces that it stays in; `base_fd` is the mount namespace with
    the kept root.
    """

    def launch() -> tuple[Any, ...]:
        _take_descriptors((), report_fd)
        if group_fd >= 0:
            _join(group_fd)
        if base_fd != _BASE_FD:
            os.dup2(base_fd, _BASE_FD, inheritable=False)
        syscalls.close_range(_BASE_FD + 1)
        _die_with_the_cell()
        _step("id-maps", _be_a_launch)
        root, interprocess = copy_root(base, _BASE_FD)
        os.close(_BASE_FD)
        wall = landlock.Wall(base["landlock"], prepared.landlock_abi, interprocess.queues_fd)
        root.close()
        _tell_of_root()
        _step("no-new-privileges", syscalls.prctl, syscalls.PR_SET_NO_NEW_PRIVS, 1)
        listens = base["on_violation"] != "deny"
        if not listens:
            _give_up_rights(base["on_violation"], prepared)
        (plan, sampled), fds = _receive_plan()
        if len(fds) != _STREAMS:  # the kernel drops what there is no room for; what is open here is no command's
            raise StepError("fork", "", os.strerror(errno.EMFILE), errno.EMFILE)
        for number, fd in enumerate(fds):
            os.dup2(fd, number)
            os.close(fd)
        _enter(plan)
        wall.close_in(plan["landlock"])
        if listens:
            _give_up_rights(base["on_violation"], prepared)
        command.set_limits([and_attendants(limit, _CELL_ALONE) for limit in plan["limits"]])
        plan["operations"] = base["fresh"]  # where the command looks for what may hold memory
        report = _run_command(plan, prepared, sampled)
        _tell(*report)
        interprocess.clear()
        return ("alone", _used())

    _report(launch)


def _used() -> dict[str, float]:
    """What this process and all that it has waited for have used."""
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "cpu_s": own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime,
        "memory_peak_bytes": max(own.ru_maxrss, others.ru_maxrss) << 10,
        "read_bytes": (own.ru_inblock + others.ru_inblock) * _BLOCK_BYTES,
        "written_bytes": (own.ru_oublock + others.ru_oublock) * _BLOCK_BYTES,
    }


def and_attendants(limit: tuple[int, int, int], count: int) -> tuple[int, int, int]:
    """RLIMIT_NPROC counts by user namespace, and so many of ours that wait outside live in this one, too."""
    number, soft, hard = limit
    return (number, soft + count, hard + count) if number == resource.RLIMIT_NPROC else limit


def _report(launch: Callable[[], tuple[Any, ...]]) -> NoReturn:
    """Do all that is to be done, tell how it ended, and end."""
    try:
        report = launch()
    except StepError as failed:
        report = ("failed", failed.step, failed.path, failed.reason, failed.errno)
    except BaseException as error:  # a bug, but the caller must hear of it
        report = ("failed", "bug", type(error).__name__, str(error), 0)
    try:
        _tell(*report)
    finally:
        os._exit(0)


def _run_command(plan: Plan, prepared: Prepared, sampled: Sequence[str]) -> tuple[Any, ...]:
    if not plan["argv"]:
        return ("ready", _limits_processes())
    if plan["as_pid_1"]:
        return command.become(plan, _tell)
    return command.Command(plan, prepared.cpus, sampled, _tell, _hear).run()


def copy_root(base: Base, base_fd: int) -> tuple[Root, Interprocess]:
    """Leave the host for a copy of the kept root, and make in it what is to be fresh."""
    try:
        proc_fd = new_proc()
    except OSError as error:
        raise StepError.of("proc", "/proc", error) from error
    try:
        syscalls.join_namespace(base_fd, syscalls.CLONE_NEWNS)
        syscalls.unshare(syscalls.CLONE_NEWNS)
        fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StepError.of("enter-root", "/", error) from error
    # Nothing of the host is in sight any more: what is a source here lies in the kept root.
    root = Root(fd, os.dup(fd), os.dup(fd))
    interprocess = Interprocess(root, base["queues"])
    for operation in base["fresh"]:
        if operation[0] == "proc":
            attach(root, operation[1], proc_fd, directory=True)
        else:
            apply_in(root, (operation,))
    return root, interprocess


def _tell_of_root() -> None:
    """Let the cell in, which mounts what is the launch's own."""
    try:
        fd = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise StepError.of("enter-root", "/", error) from error
    _tell("made", fd=fd)
    os.close(fd)


def _receive_plan() -> tuple[Any, list[int]]:
    """The plan of the launch and its standard streams."""
    sock = _socket.socket(fileno=_REPORT_FD)
    data, ancillary, _, _ = sock.recvmsg(PLAN_BYTES, _socket.CMSG_SPACE(4 * _DESCRIPTORS), _socket.MSG_CMSG_CLOEXEC)
    sock.detach()
    if not data:
        os._exit(0)  # the cell is gone, or has no use for this sandbox
    fds = [
        int.from_bytes(content[place : place + 4], "little")
        for _, _, content in ancillary
        for place in range(0, len(content), 4)
    ]
    if data == IN_A_FILE:
        fd = fds.pop()
        data = os.pread(fd, os.fstat(fd).st_size, 0)
        os.close(fd)
    return marshal.loads(data), fds  # noqa: S302 - the cell is ours


def _tell(*message: Any, fd: int = -1) -> None:
    sock = _socket.socket(fileno=_REPORT_FD)
    ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, "little"))] if fd >= 0 else []
    data = marshal.dumps(message)
    for tries_left in range(_SENDING_TRIES, -1, -1):
        try:
            sock.sendmsg([data], ancillary)
            break
        except OSError as error:
            # The kernel counts what all processes of the user have on its way against this one's limit of open files.
            if error.errno != errno.ETOOMANYREFS or not tries_left:
                raise
            time.sleep(_SENDING_PAUSE_S)
    sock.detach()


def _join(group_fd: int) -> None:
    name = "cgroup.procs"
    try:
        fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=group_fd)
        os.write(fd, b"0")
        os.close(fd)
    except OSError as error:
        raise StepError.of("group", name, error) from error


def _hear() -> None:
    """Wait for the cell's answer."""
    if not os.read(_REPORT_FD, 16):
        os._exit(0)  # it is gone


def _take_descriptors(stdio: tuple[int, ...], report_fd: int) -> None:
    for number, fd in enumerate(stdio):
        os.dup2(fd, number)
    if report_fd != _REPORT_FD:
        os.dup2(report_fd, _REPORT_FD, inheritable=False)


def _die_with_the_cell() -> None:
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, _signal.SIGKILL)
    # It may have died before: then nobody holds the socket's other end.
    poll = select.poll()
    poll.register(_REPORT_FD, 0)
    if poll.poll(0):
        os._exit(0)


def _set_up(plan: Plan, prepared: Prepared) -> None:
    _step("id-maps", write_id_maps, plan["uid"], plan["gid"], prepared)
    _step("id-maps", _be_a_launch)
    _step("hostname", syscalls.set_hostname, plan["hostname"])
    if plan["own_network"]:
        _step("loopback", syscalls.bring_loopback_up)
    if plan["waits"]:
        _tell("waiting")
        _hear()
    apply(plan["operations"])
    _step("capabilities", syscalls.bound_capabilities, prepared.last_capability)
    _enter(plan)
    _step("no-new-privileges", syscalls.prctl, syscalls.PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict(plan["landlock"], prepared.landlock_abi)
    _give_up_rights(plan["on_violation"], prepared)
    command.set_limits(plan["limits"])


def _enter(plan: Plan) -> None:
    try:
        os.chdir(plan["cwd"])
    except OSError as error:
        raise StepError.of("cwd", plan["cwd"], error) from error
    os.umask(plan["umask"])


def _give_up_rights(on_violation: str, prepared: Prepared) -> None:
    """From here on nothing can be mounted, nor entered."""
    _step("no-new-privileges", syscalls.prctl, syscalls.PR_SET_NO_NEW_PRIVS, 1)
    _step("capabilities", syscalls.drop_held_capabilities)
    _step("seccomp", _install_filter, on_violation, prepared)


def _install_filter(on_violation: str, prepared: Prepared) -> None:
    listens = on_violation == "kill"
    fd = prepared.filter(on_violation).install(listener=listens)
    if listens:
        _tell("listener", fd=fd)
        os.close(fd)


def _step(name: str, function: Any, *arguments: Any) -> None:
    try:
        function(*arguments)
    except OSError as error:
        raise StepError.of(name, "", error) from error


def write_id_maps(uid: int, gid: int, prepared: Prepared) -> None:
    """Map the one user and group that there are in a new user namespace."""
    # After a change of user the files below /proc/self belong to root, and the maps could not be written.
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
    _write("/proc/self/setgroups", b"deny")
    _write("/proc/self/uid_map", b"%d %d 1" % (uid, prepared.host_uid))
    _write("/proc/self/gid_map", b"%d %d 1" % (gid, prepared.host_gid))


def _be_a_launch() -> None:
    _write("/proc/self/oom_score_adj", _OOM_SCORE)
    # The command will be the same user: it must not trace pid 1, nor open pid 1's executable on the host for writing.
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)


def _write(path: str, content: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, content)
    finally:
        os.close(fd)


def _limits_processes() -> bool:
    """Whether RLIMIT_NPROC counts the processes of this namespace: pid 1 and one more, and not a third."""
    counts = []
    for limit in (2, 1):
        resource.setrlimit(resource.RLIMIT_NPROC, (limit, 2))
        try:
            pid = os.fork()
        except OSError:
            counts.append(0)
            continue
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        counts.append(1)
    return counts == [1, 0]
