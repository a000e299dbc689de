"""Messages between the engine and the launcher: length-framed marshal on a stream socket, descriptors alongside.

A stream has no bound on the size of a message. The kernel never joins bytes that came with descriptors to bytes of
another `sendmsg`, and descriptors arrive with the first byte of theirs, so they can be queued in the order they come.
"""

from __future__ import annotations

# The C half of `socket`: the other half imports enum and selectors, which doubles the launcher's start.
import _socket
import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SOL_SOCKET = _socket.SOL_SOCKET
_SCM_RIGHTS = _socket.SCM_RIGHTS
_CLOEXEC = getattr(_socket, "MSG_CMSG_CLOEXEC", 0x40000000)
_INT_BYTES = 4
_READ_BYTES = 1 << 16  # what needs no mapping of its own; more comes with the next read


def frame(message: tuple[Any, ...]) -> bytes:
    """The bytes of one message."""
    body = marshal.dumps(message)
    return len(body).to_bytes(_INT_BYTES, "little") + body


def descriptors(fds: tuple[int, ...]) -> list[tuple[int, int, bytes]]:
    """Ancillary data for `sendmsg`."""
    return [(_SOL_SOCKET, _SCM_RIGHTS, b"".join(fd.to_bytes(_INT_BYTES, "little") for fd in fds))]


def send(sock: _socket.socket, message: tuple[Any, ...], fds: tuple[int, ...] = ()) -> None:
    """Send all of one message. Raises OSError."""
    data = frame(message)
    sent = sock.sendmsg([data], descriptors(fds) if fds else [])
    if sent < len(data):
        sock.sendall(data[sent:])


class Receiver:
    """Owns what came in and is not yet whole, and the descriptors that nobody has taken."""

    def __init__(self, sock: _socket.socket) -> None:
        self._sock = sock
        self._bytes = bytearray()
        self.fds: list[int] = []

    def receive(self) -> list[tuple[Any, ...]] | None:
        """The messages that are whole after one read; None at the end of the stream; never blocks on a ready socket."""
        try:
            data, ancillary, _, _ = self._sock.recvmsg(_READ_BYTES, _socket.CMSG_SPACE(64 * _INT_BYTES), _CLOEXEC)
        except ConnectionResetError:  # so ends a peer that had not read everything
            return None
        for level, kind, content in ancillary:
            if level == _SOL_SOCKET and kind == _SCM_RIGHTS:
                whole = range(0, len(content) - len(content) % _INT_BYTES, _INT_BYTES)
                self.fds.extend(int.from_bytes(content[i : i + _INT_BYTES], "little") for i in whole)
        if not data:
            return None
        self._bytes += data
        return self._whole()

    def close(self) -> None:
        """Close the descriptors that nobody has taken; the socket stays its owner's."""
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()

    def _whole(self) -> list[tuple[Any, ...]]:
        messages = []
        position = 0
        while len(self._bytes) - position >= _INT_BYTES:
            start = position + _INT_BYTES
            end = start + int.from_bytes(self._bytes[position:start], "little")
            if len(self._bytes) < end:
                break
            messages.append(marshal.loads(bytes(self._bytes[start:end])))  # noqa: S302 - both ends are this package
            position = end
        del self._bytes[:position]
        return messages
