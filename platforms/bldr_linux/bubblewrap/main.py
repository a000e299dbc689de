"""The life of the stand-in: parse, make the process inside, tell the caller, wait; inside: build, give up, execute.

Every process of it, however deep it was forked, ends through `run_process`.
"""

from __future__ import annotations

import os
import sys

from bldr_linux import syscalls
from bldr_linux.bubblewrap import (
    capabilities,
    descriptors,
    environment,
    filters,
    namespaces,
    newroot,
    operations,
    options,
    settings,
    status,
    waiting,
)
from bldr_linux.bubblewrap.failure import FatalError, Messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import NoReturn

    from bldr_linux.bubblewrap.values import Options
else:
    import _signal

_MYSELF = "/proc/self/exe"


def run_process(called: str | None = None) -> NoReturn:
    """Be the program for `sys.argv`; `called` is its name where that is not the first word."""
    called = sys.argv[0] if called is None else called
    messages = Messages(called.rpartition("/")[2])
    code = 1
    try:
        code = _run(called, sys.argv[1:], messages)
    except options.Answer as answer:
        from bldr_linux.bubblewrap import usage

        os.write(1, os.fsencode(usage.VERSION if answer.args == ("--version",) else usage.text(called)))
        code = 0
    except FatalError as fatal:
        messages.error(str(fatal))
    except BaseException as error:  # a bug, but of whichever process it is, nothing else may go on in it
        messages.error(f"{type(error).__name__}: {error}")
    finally:
        os._exit(code)


def _run(called: str, words: list[str], messages: Messages) -> int:
    _take_default_signals()
    given = _given(words, messages)
    uid = os.getuid()
    mask = capabilities.requested(uid, given.capabilities)
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    settings.check(given)
    given = settings.complete(given, uid)
    if not given.command:
        from bldr_linux.bubblewrap import usage

        os.write(2, os.fsencode(usage.text(called)))
        return 1
    settings.check_identity(given, uid, os.getgid())
    environment.change(given.environment)
    return _Run(called, given, mask).fork()


def _given(words: list[str], messages: Messages) -> Options:
    def show_levels() -> None:
        messages.with_level = True

    def read(fd: int) -> bytes:
        return descriptors.read_all(fd, "Can't read --args data")

    return options.parse(words, read, messages.warning, show_levels)


def _take_default_signals() -> None:
    # The interpreter ignores or catches these, and the command would inherit the one and the other.
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ, _signal.SIGCHLD):
        _signal.signal(number, _signal.SIG_DFL)
    if _signal.getsignal(_signal.SIGINT) is not _signal.SIG_IGN:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


class _Run:
    """One run, seen from whichever of its processes this is."""

    def __init__(self, called: str, given: Options, mask: int) -> None:
        self._called = called
        self._options = given
        self._mask = mask
        self._identity = namespaces.Identity(given)
        self._programs = [filters.load(fd) for fd in given.filter_fds]
        self._terminal = _terminal()
        try:
            self._proc_fd = os.open("/proc", os.O_PATH | os.O_CLOEXEC)
        except OSError as error:
            raise FatalError.of("Can't open /proc", error) from error
        has_init = given.unshare_pid and not given.as_pid_1
        self._event_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) if has_init else None
        self._caller = os.getppid()
        # One byte says go on; closed, it says that the monitor is dead, for which the process inside must not wait for
        # ever, and which it may have been before that process could ask the kernel to die with it.
        self._go_fds = os.pipe()
        # Tells apart, for --json-status-fd, the command's exit status and that of a failed start.
        self._ready_fds = os.pipe() if given.json_status_fd is not None else None

    def fork(self) -> int:
        """Go on outside and inside; the exit status of either."""
        given = self._options
        if given.lock_files:
            import fcntl  # noqa: F401 - later the interpreter's own files may be out of reach
        if given.userns_fd is not None:
            namespaces.join_users(given.userns_fd)
        route = None
        if given.pidns_fd is not None:
            # What is forked in between ends at once, and the process inside then becomes this one's child.
            syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
            route = namespaces.PidRoute()
        pid, pidfd = namespaces.clone(given)
        if pid == 0:
            if route is not None:
                namespaces.enter_pid_namespace(given, route)
            return self._inside()
        if route is not None:
            pid = route.receive()
            pidfd = os.pidfd_open(pid)
        return self._outside(pid, pidfd)

    def _outside(self, pid: int, pidfd: int) -> int:
        given = self._options
        found = status.namespaces(given, pid, self._proc_fd)
        if given.userns2_fd is not None:
            namespaces.join_second_users(given.userns2_fd)
        self._give_up(0)
        waiting.die_with_parent(given, self._caller)
        if given.info_fd is not None:
            status.write(given.info_fd, status.info(pid, found))
            descriptors.close(given.info_fd)
        if given.json_status_fd is not None:
            status.write(given.json_status_fd, status.started(pid, found))
        if given.userns_block_fd is not None:
            descriptors.wait_for(given.userns_block_fd)
        os.write(self._go_fds[1], b"\0")
        ready_fd = self._ready_fds[0] if self._ready_fds is not None else None
        alive_fd = self._go_fds[1]
        return waiting.Monitor(pid, pidfd, alive_fd, self._event_fd, given.json_status_fd, ready_fd).wait()

    def _inside(self) -> int:
        given = self._options
        for fd in (given.info_fd, given.json_status_fd, self._go_fds[1]):
            descriptors.close(fd)
        if not os.read(self._go_fds[0], 1):
            return 1
        if given.unshare_user or given.userns_fd is not None:
            capabilities.bound(self._mask)
        if given.userns_fd is not None:
            namespaces.become(self._identity)
        if given.unshare_net:
            _bring_loopback_up()
        outer = self._write_maps()
        cwd = self._build()
        self._settle_users(outer)
        self._give_up(self._mask)
        return self._start(cwd)

    def _write_maps(self) -> tuple[int, int]:
        """The user and group of this process in its user namespace."""
        given, who = self._options, self._identity
        if not given.unshare_user or given.userns_block_fd is not None:
            return who.uid, who.gid
        # A devpts can be mounted only where a user 0 is mapped; a second user namespace sets that right afterwards.
        outer = (0, 0) if given.needs_devpts() else (who.uid, who.gid)
        namespaces.write_maps(self._proc_fd, (outer[0], who.real_uid), (outer[1], who.real_gid), deny_groups=True)
        return outer

    def _build(self) -> str | None:
        """Make `/` what the options say; the directory that the caller stood in."""
        given = self._options
        umask = os.umask(0)
        todo = operations.resolve(given.operations, self._proc_fd)
        cwd = environment.current_directory()
        overlays = sum(operation.kind == "tmp-overlay" for operation in todo)
        root = newroot.enter(self._proc_fd, overlays)
        own_proc = given.unshare_pid or given.pidns_fd is not None
        operations.apply(todo, root, operations.Surroundings(own_proc=own_proc, terminal=self._terminal))
        root.leave_the_host()
        os.umask(umask)
        return cwd

    def _settle_users(self, outer: tuple[int, int]) -> None:
        given, who = self._options, self._identity
        if given.userns2_fd is not None:
            namespaces.join_second_users(given.userns2_fd)
        differs = outer != (who.uid, who.gid)
        if given.unshare_user and given.userns_block_fd is None and (differs or given.disable_userns):
            namespaces.enter_second_users(given, who, self._proc_fd, outer, self._mask)
        if given.disable_userns or given.assert_userns_disabled:
            namespaces.check_no_more_users()

    def _give_up(self, mask: int) -> None:
        """Keep these capabilities; root keeps its own when the options name none."""
        if not mask or self._options.capabilities or self._identity.real_uid != 0:
            capabilities.keep(mask, self._identity.real_uid)
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)

    def _start(self, cwd: str | None) -> int:
        given = self._options
        waiting.die_with_parent(given)
        if given.die_with_parent and self._monitor_is_dead():
            return 1
        os.close(self._go_fds[0])
        if given.block_fd is not None:
            descriptors.wait_for(given.block_fd)
        if given.seccomp_fd is not None:
            self._programs = [filters.load(given.seccomp_fd)]
        environment.enter_directory(given.chdir, cwd)
        if given.new_session:
            try:
                os.setsid()
            except OSError as error:
                raise FatalError.of("setsid", error) from error
        if not given.as_pid_1 and (given.unshare_pid or given.lock_files or given.sync_fd is not None):
            parent = os.getpid()
            try:
                pid = os.fork()
            except OSError as error:
                raise FatalError.of("Can't fork for pid 1", error) from error
            if pid:
                waiting.give_up_everything(self._identity.real_uid, self._event_fd, given.sync_fd)
                return waiting.reap(given, pid, self._event_fd, self._programs)
            waiting.die_with_parent(given, parent)
            descriptors.close(given.sync_fd)
        os.close(self._proc_fd)
        return self._execute()

    def _monitor_is_dead(self) -> bool:
        os.set_blocking(self._go_fds[0], False)
        try:
            return not os.read(self._go_fds[0], 1)
        except BlockingIOError:
            return False

    def _execute(self) -> NoReturn:
        given = self._options
        capabilities.pass_on(self._mask)
        file, argv = self._command()
        filters.install(self._programs)
        self._mark_ready()
        try:
            syscalls.execute(file, argv)
        except OSError as error:
            self._mark_ready()
            raise FatalError.of(f"execvp {given.command[0]}", error) from error
        raise AssertionError("unreachable")

    def _command(self) -> tuple[bytes, list[bytes]]:
        given = self._options
        first, *rest = given.command
        argv = [os.fsencode(word) for word in (first if given.argv0 is None else given.argv0, *rest)]
        if first == _MYSELF:
            # For a caller of bubblewrap this names bubblewrap, not the interpreter that we run in.
            from bldr_linux.bubblewrap import again

            argv = again.argv(self._called, argv[1:])
        return os.fsencode(first), argv

    def _mark_ready(self) -> None:
        if self._ready_fds is not None:
            try:
                os.write(self._ready_fds[1], b"\0")
            except OSError:
                return  # the monitor is gone, and nobody else wants to know


def _terminal() -> str | None:
    """The terminal that standard output is, by a name that holds here."""
    try:
        return os.ttyname(1)
    except OSError:
        return None


def _bring_loopback_up() -> None:
    try:
        syscalls.bring_loopback_up()
    except OSError as error:
        raise FatalError.of("loopback: Failed RTM_NEWLINK", error) from error
