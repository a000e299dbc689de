"""Bytes that are gathered piece by piece and then written once, without all of them being in memory."""

import os
from collections.abc import Iterator

from bldr.snapshot import files

_MOST_HELD_BYTES = 1 << 20


class Gathered:
    """Owns a file that has no name, as soon as there is much; `beside` is the path that its content is meant for."""

    def __init__(self, beside: str) -> None:
        self._beside = beside
        self._descriptor = -1
        self._held = bytearray()
        self._spilled_bytes = 0

    def __len__(self) -> int:
        return self._spilled_bytes + len(self._held)

    def add(self, piece: bytes) -> None:
        """Raises OSError."""
        self._held += piece
        if len(self._held) >= _MOST_HELD_BYTES:
            if self._descriptor < 0:
                self._descriptor = _open_unnamed(self._beside)
            _write_all(self._descriptor, self._held)
            self._spilled_bytes += len(self._held)
            self._held.clear()

    def chunks(self) -> Iterator[bytes | bytearray]:
        """Everything, in order. Raises OSError."""
        at = 0
        while at < self._spilled_bytes:
            chunk = os.pread(self._descriptor, min(_MOST_HELD_BYTES, self._spilled_bytes - at), at)
            if not chunk:
                raise OSError(f"what was written beside {self._beside} is gone")
            yield chunk
            at += len(chunk)
        yield self._held

    def close(self) -> None:
        """Let go of the file, and so of its content."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _open_unnamed(beside: str) -> int:
    """The name is of the kind that `bldr watch` does not look at."""
    name = f"{beside}.{os.getpid()}.gathered.new"
    files.remove(name)  # of a process of the same number that was killed
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.unlink(name)
    return descriptor


def _write_all(descriptor: int, data: bytearray) -> None:
    written = 0
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])
