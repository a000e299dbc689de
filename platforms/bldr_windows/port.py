"""What jobs tell, behind a descriptor that `select` takes on Windows: a socket that a thread writes to.

The thread only waits for the completion port and passes on what it hears; everything else is the launcher's, in the one
thread that uses it.
"""

import contextlib
import socket
import threading
from collections import deque

from bldr_windows.win32 import Message, Win32

TICK_S = 0.05
"""While something runs its owner is woken so often: messages of a job may be lost, and deadlines pass without any."""

_CONTROL = 2**64 - 1
"""The key of messages that this side posts itself; launches count from 0."""


class Port:
    """A completion port and the thread that waits for it."""

    def __init__(self, system: Win32) -> None:
        self._system = system
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)
        self._port = system.create_port()
        self._heard: deque[Message] = deque()
        self._is_busy = self._is_closed = False
        self._thread = threading.Thread(target=self._listen, name="bldr-windows-jobs", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        return self._reading.fileno()

    def follow(self, job: int, key: int) -> None:
        """Hear of this job's processes under a key."""
        self._system.associate(job, self._port, key)

    def set_busy(self, is_busy: bool) -> None:
        """Whether anything runs."""
        if is_busy and not self._is_busy:
            self._is_busy = True
            self._system.post(self._port, Message(0, _CONTROL))
        self._is_busy = is_busy

    def wake(self) -> None:
        """Make the descriptor readable until `messages` is called."""
        with contextlib.suppress(BlockingIOError):  # full of wake-ups already
            self._writing.send(b"\0")

    def messages(self) -> list[Message]:
        """What was heard since the last call; never blocks."""
        with contextlib.suppress(BlockingIOError):
            while self._reading.recv(4096):
                pass
        heard = []
        while self._heard:
            heard.append(self._heard.popleft())
        return heard

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._system.post(self._port, Message(0, _CONTROL))
        self._thread.join()
        self._system.close(self._port)
        self._reading.close()
        self._writing.close()

    def _listen(self) -> None:
        while not self._is_closed:
            message = self._system.next_message(self._port, TICK_S if self._is_busy else None)
            if message is not None and message.key != _CONTROL:
                self._heard.append(message)
            if message is None or message.key != _CONTROL:
                self.wake()
