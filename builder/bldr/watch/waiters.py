"""Whoever waits for a build of the watcher's: their connections, and that they are kept alive until it ends."""

import contextlib
import socket
import time
from collections.abc import Callable

from bldr.watch import client
from bldr.watch.question import Question

_MOST = 64
_ALIVE_S = 0.4
"""How often they hear that somebody is there."""


class Waiters:
    """Owns the connections: of those who wait for the build that runs, and of those who wait for the next."""

    def __init__(self) -> None:
        self._next: list[tuple[socket.socket, Question]] = []
        self._present: list[tuple[socket.socket, Question]] = []  # for the build that runs
        self._alive_s = 0.0

    @property
    def is_full(self) -> bool:
        """Whether nobody else may wait."""
        return len(self._next) + len(self._present) >= _MOST

    @property
    def want_a_build(self) -> bool:
        """Whether somebody waits for a build that has not begun."""
        return bool(self._next)

    def descriptors(self) -> list[int]:
        """Of all connections."""
        return [connection.fileno() for connection, _ in (*self._next, *self._present)]

    def add(self, connection: socket.socket, question: Question, *, joins: bool) -> None:
        """Somebody who was told to wait, and what was asked; for the next build, or who `joins` that which runs."""
        (self._present if joins else self._next).append((connection, question))

    def begin(self) -> bool:
        """A build begins, which is for everybody who waits now; whether that is anybody."""
        self._present += self._next
        self._next = []
        return bool(self._present)

    def end(self, answer: Callable[[Question], bytes]) -> None:
        """The build has ended: `answer` says what its waiters are told. To wait again means for the next build."""
        present, self._present = self._present, []
        for connection, question in present:
            said = answer(question)
            if said == client.WAIT:
                self._next.append((connection, question))
                continue
            with connection, contextlib.suppress(OSError):  # whoever asked does not wait any more
                connection.sendall(said)

    def keep_alive(self) -> None:
        """Let them know that somebody is there, if it is time to."""
        now_s = time.monotonic()
        if now_s - self._alive_s < _ALIVE_S:
            return
        self._alive_s = now_s
        for waiting in (self._next, self._present):
            for connection, question in list(waiting):
                try:
                    connection.sendall(client.WAIT)
                except OSError:
                    connection.close()
                    waiting.remove((connection, question))

    def dismiss(self) -> None:
        """Nothing is built for anybody."""
        self.begin()
        self.end(lambda _: client.UNKNOWN)
