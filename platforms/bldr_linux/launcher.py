"""The resident process that all launches descend from: small, so that it forks quickly, and single-threaded.

Runs in a process of its own (`python -I -S`), with a stream socket to the engine. The engine sends, as `wire` frames:

    ("open", root, owner, die_with_parent, groups, has_program)
                         first of all; answered by ("opened",) or ("refused", reason, errno, path), with the path of a
                         control group where it is that which cannot be entered; owner is the (uid, gid) to become, or
                         None; groups describes the control groups that were made for it; with descriptors of the
                         places that launches take in turn, of a pipe for the numbers of those that have one, and of the
                         compiled cradle where there is one
    ("cell", number)     with one descriptor, the socket of a new cell, which gets ("lost", reason, errno) if there can
                         be none

A cell (see `cell`) is a fork that runs launches, one at a time. When the engine disappears its cells end what they run,
and the launcher ends when the last of them is gone.
"""

from __future__ import annotations

import _socket
import gc
import os
import resource  # noqa: F401 - `os.wait4` imports it, too late when privileges are gone

from bldr_linux import cell, init, syscalls, wire
from bldr_linux.cgroups.group import enter_leaf

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any
else:
    import _signal


class Launcher:
    """Forks cells for the engine, one after another, until the engine closes its end of the socket."""

    def __init__(self, sock: _socket.socket) -> None:
        self._sock = sock
        self._receiver = wire.Receiver(sock)
        self._prepared: init.Prepared | None = None
        self._groups: tuple[Any, ...] = ()
        self._turn_fds = (-1, -1)
        self._die_with_parent = True

    def serve(self) -> None:
        """Run until the engine is gone, then wait for the cells, who see it too."""
        while (messages := self._receiver.receive()) is not None:
            for kind, *arguments in messages:
                if kind == "open":
                    self._open(*arguments)
                elif kind == "cell":
                    self._fork(*arguments)
        try:
            os.waitpid(-1, 0)  # SIGCHLD is ignored: it comes back when there is no child left
        except ChildProcessError:
            return

    def _open(
        self, root: str, owner: tuple[int, int] | None, die_with_parent: bool, groups: tuple[Any, ...],
        has_program: bool,
    ) -> None:  # fmt: skip
        self._turn_fds = (self._receiver.fds.pop(0), self._receiver.fds.pop(0))
        try:
            enter_leaf(groups)
        except OSError as error:
            _tell(self._sock.fileno(), ("refused", error.strerror, error.errno or 0, error.filename or ""))
            return
        try:
            os.chdir(root)
            if owner is not None:
                uid, gid = owner
                os.setgroups([])
                os.setresgid(gid, gid, gid)
                os.setresuid(uid, uid, uid)
            if die_with_parent:
                syscalls.prctl(syscalls.PR_SET_PDEATHSIG, _signal.SIGKILL)
            self._prepared = init.Prepared(self._receiver.fds.pop(0) if has_program else -1)
        except OSError as error:
            _tell(self._sock.fileno(), ("refused", error.strerror, error.errno or 0, ""))
            return
        self._groups = groups
        self._die_with_parent = die_with_parent
        _tell(self._sock.fileno(), ("opened",))

    def _fork(self, number: int) -> None:
        fd = self._receiver.fds.pop(0)
        if self._prepared is None:  # asked for before the refusal was read
            os.close(fd)
            return
        try:
            pid = os.fork()
        except OSError as error:
            pid = -1
            _tell(fd, ("lost", error.strerror, error.errno))
        if pid == 0:
            cell.main(fd, number, self._prepared, self._groups, self._turn_fds, die_with_parent=self._die_with_parent)
        os.close(fd)


def _tell(fd: int, message: tuple[Any, ...]) -> None:
    """The engine, if it is still there; what is said here fits into any socket's buffer."""
    try:  # noqa: SIM105 - contextlib is not imported here
        os.write(fd, wire.frame(message))
    except (BrokenPipeError, ConnectionResetError):
        pass


def main(fd: int) -> None:
    """Serve the engine on a descriptor; everything above it is closed."""
    syscalls.close_range(fd + 1)
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)  # cells are not waited for one by one
    # What is alive now stays: a collection in a child would copy all of it.
    gc.disable()
    gc.freeze()
    Launcher(_socket.socket(fileno=fd)).serve()
    os._exit(0)  # at once: there is nothing to tidy up
