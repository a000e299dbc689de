"""A descriptor that a loop waits for beside others, and that threads and signals make readable."""

import contextlib
import os
import socket
from typing import Protocol


class Wakeup(Protocol):
    """Readable after `wake`, until `clear`. `writer` is what `signal.set_wakeup_fd` takes."""

    writer: int

    def fileno(self) -> int: ...

    def wake(self) -> None: ...

    def clear(self) -> None: ...

    def close(self) -> None: ...


class PipeWakeup:
    """Of two ends of a pipe: what costs least."""

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()  # pipe2(2), which takes one call, is not everywhere
        os.set_blocking(self._reader, False)
        os.set_blocking(self.writer, False)

    def fileno(self) -> int:
        return self._reader

    def wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full of wake-ups already
            os.write(self.writer, b"\0")

    def clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._reader, 4096)

    def close(self) -> None:
        os.close(self._reader)
        os.close(self.writer)


class SocketWakeup:
    """Of two sockets, where select(2) knows nothing else."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self.writer = self._writer.fileno()

    def fileno(self) -> int:
        return self._reader.fileno()

    def wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._writer.send(b"\0")

    def clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._reader.recv(4096)

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


def open_wakeup() -> Wakeup:
    """The one that this system's loops can wait for."""
    return PipeWakeup() if hasattr(os, "fork") else SocketWakeup()
