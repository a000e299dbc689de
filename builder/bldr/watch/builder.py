"""The process that builds: it stays, so that what one build loaded is there for the next.

It is another one than that which watches, because whoever builds must not be kept waiting by questions, nor questions
by a build; and because a launcher may be started only by a process without threads.
"""

import marshal
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any

Message = dict[str, Any]
_LENGTH_BYTES = 8
_PR_SET_PDEATHSIG = 1  # prctl(2)
_ENDED = 8


class Builder:
    """Owns the process, which calls `build` with every order and sends back what it returns.

    Orders and reports are dictionaries of what `marshal` knows. The process is forked when the first order comes, if
    not before: its parent should be small, and must have no threads then.
    """

    def __init__(self, build: Callable[[Message], Message]) -> None:
        self._build = build
        self.foreign: Callable[[], Iterable[int]] = tuple
        """Descriptors of the parent that the process has no business with."""
        self._socket: socket.socket | None = None
        self._process = 0
        self.busy = False

    def fileno(self) -> int:
        """A descriptor that can be read when a report is there; -1 while there is no process."""
        return -1 if self._socket is None else self._socket.fileno()

    def start(self) -> None:
        """Start the process, unless it is there."""
        if self._socket is None:
            self._start()

    def order(self, message: Message) -> None:
        """Have something built; one at a time."""
        self.start()
        self.busy = True
        assert self._socket is not None
        try:
            _send(self._socket, message)
        except BrokenPipeError:
            return  # `report` will tell

    def report(self) -> Message | None:
        """What the process says after an order; waits for it. None where it ended instead: see `ending`."""
        assert self._socket is not None
        self.busy = False
        try:
            return _receive(self._socket)
        except (EOFError, ConnectionError):
            return None

    def ending(self) -> str:
        """How the process ended, in words; the next order starts another one."""
        status = self._reap()
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            return f"killed by signal {number} ({(signal.strsignal(number) or 'unknown').lower()})"
        return f"with exit code {os.waitstatus_to_exitcode(status)}"

    def interrupt(self, number: int) -> None:
        """Send a signal to the process."""
        if self._process:
            os.kill(self._process, number)

    def close(self) -> None:
        """End the process, which does nothing at the moment."""
        if self._socket is not None:
            self._reap()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        parent, foreign = os.getpid(), list(self.foreign())
        self._process = os.fork()
        if self._process:
            theirs.close()
            self._socket = ours
            return
        code = 70
        try:
            ours.close()
            signal.set_wakeup_fd(-1)
            for descriptor in foreign:
                os.close(descriptor)
            _end_with(parent)
            code = _serve(theirs, self._build)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> int:
        assert self._socket is not None
        self._socket.close()
        self._socket = None
        process, self._process = self._process, 0
        return os.waitpid(process, 0)[1]


def _serve(connection: socket.socket, build: Callable[[Message], Message]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: os._exit(_ENDED))  # the one who watches says so
    while True:
        try:
            order = _receive(connection)
        except EOFError:
            return 0
        _send(connection, build(order))


def _end_with(parent: int) -> None:
    """Be interrupted when the parent dies, however it dies."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(_ENDED)


def _send(connection: socket.socket, message: Message) -> None:
    data = marshal.dumps(message)
    connection.sendall(len(data).to_bytes(_LENGTH_BYTES, "little") + data)


def _receive(connection: socket.socket) -> Message:
    """One message. Raises EOFError where the other side is gone."""
    size = int.from_bytes(_receive_bytes(connection, _LENGTH_BYTES), "little")
    message: Message = marshal.loads(_receive_bytes(connection, size))  # noqa: S302 - of our own process
    return message


def _receive_bytes(connection: socket.socket, count: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < count:
        piece = connection.recv(min(count - len(pieces), 1 << 20))
        if not piece:
            raise EOFError
        pieces += piece
    return bytes(pieces)
