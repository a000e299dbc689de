"""Takes the output of a command from two pipes at once, up to a bound, without waiting for those who hold them open."""

import os
import select
from types import TracebackType
from typing import Self

from bldr.api import Verdict

DEFAULT_BOUND_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 16


class Capture:
    """Owns the pipes. `writing` are the ends for the command; they are closed by `close_writing`."""

    def __init__(self, bound_bytes: int = DEFAULT_BOUND_BYTES) -> None:
        self.bound_bytes = bound_bytes
        self._pieces: dict[int, list[bytes]] = {}
        self._open: set[int] = set()
        self._size_bytes = 0
        pipes = [os.pipe(), os.pipe()]
        self.writing = tuple(pipe[1] for pipe in pipes)
        for reading, _ in pipes:
            os.set_blocking(reading, False)
            self._pieces[reading] = []
            self._open.add(reading)
        self._held = set(self.writing)

    @property
    def size_bytes(self) -> int:
        """What both streams sent together; more than the bound once it is passed."""
        return self._size_bytes

    @property
    def is_full(self) -> bool:
        return self._size_bytes > self.bound_bytes

    def verdict(self) -> Verdict:
        """What is said of a command that printed more than the bound."""
        return Verdict("log", self.bound_bytes, self._size_bytes, "bytes")

    def register(self, poll: "select.poll") -> None:
        for descriptor in self._open:
            poll.register(descriptor, select.POLLIN)

    def read(self, poll: "select.poll", descriptor: int) -> None:
        """Take what one pipe holds; at its end it leaves the poll."""
        if descriptor in self._open and self._take(descriptor) == 0:
            poll.unregister(descriptor)
            self._open.discard(descriptor)

    def drain(self) -> None:
        """Take what is there when the command is dead; a writer that is left over cannot hold us up."""
        for descriptor in self._open:
            while not self.is_full and self._take(descriptor):
                pass

    def close_writing(self) -> None:
        for descriptor in self._held:
            os.close(descriptor)
        self._held.clear()

    def texts(self) -> tuple[bytes, bytes]:
        """Standard output and error, cut off where both together passed the bound."""
        stdout, stderr = (b"".join(pieces) for pieces in self._pieces.values())
        return stdout, stderr

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_writing()
        for descriptor in self._pieces:
            os.close(descriptor)

    def _take(self, descriptor: int) -> int | None:
        """How many bytes were there: 0 at the end, None where nothing is there yet."""
        try:
            piece = os.read(descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            return None
        left_bytes = max(0, self.bound_bytes - self._size_bytes)
        self._pieces[descriptor].append(piece[:left_bytes])
        self._size_bytes += len(piece)
        return len(piece)
