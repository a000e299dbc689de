"""The two processes that stay while the command runs: the monitor outside, and pid 1 inside, which reaps."""

from __future__ import annotations

import os

from bldr_linux import syscalls
from bldr_linux.bubblewrap import capabilities, descriptors, filters, status
from bldr_linux.bubblewrap.failure import FatalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal

    from bldr_linux.bubblewrap.values import Options
else:
    # The C half of `signal`: the other half imports enum, which is dear to start.
    import _signal


def exit_code_of(wait_status: int) -> int:
    """The exit status as a shell shows it."""
    code = os.waitstatus_to_exitcode(wait_status)
    return code if code >= 0 else 128 - code


def die_with_parent(options: Options, parent: int | None = None) -> None:
    """Have the kernel kill this process when its parent ends, if that was asked for; end now if it is not `parent`."""
    if options.die_with_parent:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, _signal.SIGKILL)
        # It may have ended before: then somebody else is the parent now.
        if parent is not None and os.getppid() != parent:
            os._exit(1)


class Monitor:
    """Waits outside for the exit status, and hands it on; `alive_fd` is closed by its end and not before."""

    def __init__(
        self, pid: int, pidfd: int, alive_fd: int, event_fd: int | None, json_fd: int | None, ready_fd: int | None
    ) -> None:
        self._pid = pid
        self._pidfd = pidfd
        self._event_fd = event_fd
        self._json_fd = json_fd
        self._ready_fd = ready_fd
        descriptors.close_all_but([fd for fd in (pidfd, alive_fd, event_fd, json_fd, ready_fd) if fd is not None])

    def wait(self) -> int:
        """The exit status of the command; of pid 1 when that ends before it could tell."""
        code = None if self._event_fd is None else self._told(self._event_fd)
        if code is None:
            code = self._reaped()
        self._report(code)
        return code

    def _told(self, event_fd: int) -> int | None:
        """What pid 1 says of the command, unless it dies without a word."""
        import select

        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        poll.register(event_fd, select.POLLIN)
        poll.poll()
        # Both may be ready: pid 1 tells of the command's end just before its own.
        try:
            return os.eventfd_read(event_fd) - 1
        except BlockingIOError:
            return None

    def _reaped(self) -> int:
        while True:
            try:
                pid, wait_status = os.wait()
            except ChildProcessError:
                return 1
            if pid == self._pid:
                return exit_code_of(wait_status)

    def _report(self, code: int) -> None:
        if self._json_fd is None or self._ready_fd is None:
            return
        # One byte: the command was about to start. A second one follows when it could not.
        if len(os.read(self._ready_fd, 2)) == 1:
            try:
                status.write(self._json_fd, status.ended(code))
            except FatalError:
                return  # too late for a failure to mean anything


def reap(options: Options, command_pid: int, event_fd: int | None, programs: list[bytes]) -> int:
    """Live as pid 1, or as the holder of locks, until no process is left; the exit status of the command."""
    locks = [_lock(path) for path in options.lock_files]
    die_with_parent(options)
    filters.install(programs)
    code = 1
    while True:
        try:
            pid, wait_status = os.wait()
        except ChildProcessError:
            break
        if pid == command_pid:
            code = exit_code_of(wait_status)
            if event_fd is not None:
                try:
                    os.eventfd_write(event_fd, code + 1)
                except OSError:
                    continue  # the monitor is gone, and nobody else waits
    for fd in locks:
        os.close(fd)
    return code


def give_up_everything(uid: int, event_fd: int | None, sync_fd: int | None) -> None:
    """Leave pid 1 with no capability and no descriptor that it does not need."""
    capabilities.keep(0, uid)
    descriptors.close_all_but([fd for fd in (event_fd, sync_fd) if fd is not None])


def _lock(path: str) -> int:
    import fcntl

    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise FatalError.of(f"Unable to open lock file {path}", error) from error
    try:
        fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        raise FatalError.of(f"Unable to lock file {path}", error) from error
    return fd
