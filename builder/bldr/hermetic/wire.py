"""What an embedding process and its launch service say to each other, and the frames that carry it.

A frame is the length of a message (four bytes, big endian) and the message in MessagePack. The service gets `Open`
once and answers `Opened` or `Refused`; then it gets `Start`, with three descriptors, whenever nothing runs, and sends
statuses until `Exited`, `Spawned` with a descriptor. While something runs `Kill` ends it, `Signal` goes to it and
`Measure` is answered by `Measured`. When either end closes the socket, all is over, but for what is to outlive it.
"""

import socket

import msgspec

from bldr.api import SandboxSpec, Usage
from bldr.hermetic.status import AnyStatus

_HEADER_BYTES = 4
_DESCRIPTORS = 3


class Open(msgspec.Struct, frozen=True, tag=True):
    """`sandbox` is the platform's class, as "module:name"; `directory` is an empty one that the service removes."""

    sandbox: str
    directory: str
    map_caller: bool
    outlives: bool


class Opened(msgspec.Struct, frozen=True, tag=True):
    """The launcher runs."""


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The platform does not open: the text of its IsolationError."""

    message: str
    hint: str


class Start(msgspec.Struct, frozen=True, tag=True):
    """One command; standard input, output and error travel beside it."""

    spec: SandboxSpec
    argv: tuple[str, ...]
    cwd: str


class Kill(msgspec.Struct, frozen=True, tag=True):
    """End what runs; its `Exited` still comes."""


class Signal(msgspec.Struct, frozen=True, tag=True):
    """Send a signal to what runs."""

    number: int


class Measure(msgspec.Struct, frozen=True, tag=True):
    """What has it used until now?"""


class Measured(msgspec.Struct, frozen=True, tag=True, tag_field="status"):
    """None where the platform cannot tell."""

    usage: Usage | None


Request = Open | Start | Kill | Signal | Measure
Answer = Opened | Refused
_REQUESTS = msgspec.msgpack.Decoder(Request)
_ANSWERS = msgspec.msgpack.Decoder(Answer)
_STATUSES = msgspec.msgpack.Decoder(AnyStatus | Measured)


class Channel:
    """One end of the socket. Receiving raises EOFError when the other end is gone."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._encoder = msgspec.msgpack.Encoder()

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: msgspec.Struct, descriptors: tuple[int, ...] = ()) -> None:
        body = self._encoder.encode(message)
        header = len(body).to_bytes(_HEADER_BYTES, "big")
        if descriptors:
            socket.send_fds(self._socket, [header], list(descriptors))
            self._socket.sendall(body)
        else:
            self._socket.sendall(header + body)

    def receive_request(self) -> tuple[Request, list[int]]:
        body, descriptors = self._receive()
        return _REQUESTS.decode(body), descriptors

    def receive_answer(self) -> Answer:
        body, _ = self._receive()
        answer: Answer = _ANSWERS.decode(body)
        return answer

    def receive_status(self) -> tuple[AnyStatus | Measured, list[int]]:
        body, descriptors = self._receive()
        return _STATUSES.decode(body), descriptors

    def close(self) -> None:
        self._socket.close()

    def _receive(self) -> tuple[bytes, list[int]]:
        try:
            header, descriptors, _, _ = socket.recv_fds(self._socket, _HEADER_BYTES, _DESCRIPTORS)
            header += self._read(_HEADER_BYTES - len(header)) if header else b""
            if not header:
                raise EOFError
            return self._read(int.from_bytes(header, "big")), descriptors
        except ConnectionResetError:
            raise EOFError from None

    def _read(self, size: int) -> bytes:
        pieces = []
        while size:
            piece = self._socket.recv(min(size, 1 << 20))
            if not piece:
                raise EOFError
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)
