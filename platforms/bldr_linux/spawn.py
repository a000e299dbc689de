"""Starts the launcher's process, which is `launcher.main`."""

import contextlib
import os
import signal
import socket
import sys
from typing import NamedTuple

_CHILD_FD = 3
_ready: list["Process"] = []


class Process(NamedTuple):
    """A launcher's process that was told nothing yet, and our end of its socket. It ends when that is closed."""

    sock: socket.socket
    pid: int

    def end(self) -> None:
        """It is not needed."""
        self.sock.close()
        with contextlib.suppress(ChildProcessError):  # where the caller has children that nobody waits for
            os.waitpid(self.pid, 0)

    @property
    def is_there(self) -> bool:
        """Whether it has not ended meanwhile."""
        try:
            return bool(self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        except OSError:
            return False


def start() -> Process:
    """The process that was got ready, or a new one. Raises OSError."""
    while _ready:
        process = _ready.pop()
        if process.is_there:
            return process
        process.end()
    return _start()


def get_ready() -> None:
    """Have a process for the next `start`, which finds it loaded. Raises OSError."""
    if not _ready:
        _ready.append(_start())


def _start() -> Process:
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            return Process(ours, spawn(theirs.fileno()))
    except BaseException:
        ours.close()
        raise


def spawn(fd: int) -> int:
    """Start the launcher on a socket, in a session of its own: the terminal's signals are the engine's business."""
    directory = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    # Not as a script: those are compiled anew at every start.
    program = f"import sys; sys.path.append({directory!r}); from bldr_linux.launcher import main; main({_CHILD_FD})"
    flags = ["-I", "-S", "-X", "utf8", *(["-B"] if sys.dont_write_bytecode else [])]
    return os.posix_spawn(
        sys.executable,
        [sys.executable, *flags, "-c", program],
        {},
        file_actions=[
            (os.POSIX_SPAWN_DUP2, fd, _CHILD_FD),
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
            (os.POSIX_SPAWN_DUP2, 0, 1),
            *(() if _has_stderr() else ((os.POSIX_SPAWN_DUP2, 0, 2),)),
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=signal.valid_signals(),
    )


def _has_stderr() -> bool:
    """Whether a child gets it: what the launcher is given later must not take its place."""
    try:
        return os.get_inheritable(2)
    except OSError:
        return False
