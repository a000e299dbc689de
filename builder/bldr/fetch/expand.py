"""A compressed stream read as plain bytes, bounded, and refused when something other than padding follows it."""

import bz2
import io
import lzma
import zlib
from typing import BinaryIO, Protocol

from bldr.fetch.names import HostileArchiveError
from bldr.fetch.source import Limits

_CHUNK_BYTES = 1 << 17
_XZ_MEMORY_BYTES = 256 << 20  # xz -9 needs 65 MiB to decompress

MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _GzipDecoder:
    """zlib's decompressor with the interface that bz2 and lzma share."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail and not self._inner.eof

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max(max_length, 0))


def _decoder(compression: str) -> _Decoder:
    if compression == "gzip":
        return _GzipDecoder()
    if compression == "bzip2":
        return bz2.BZ2Decompressor()
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)


class Budget:
    """How many bytes an archive of `archive_bytes` may still become."""

    def __init__(self, archive_bytes: int, limits: Limits) -> None:
        self._archive_bytes = max(archive_bytes, 1)
        self._limits = limits
        self._spent_bytes = 0

    def spend(self, size_bytes: int) -> None:
        """Count bytes before they are used; raises HostileArchiveError when they are too many."""
        self._spent_bytes += size_bytes
        limits = self._limits
        if self._spent_bytes > limits.unpacked_bytes:
            raise HostileArchiveError(f"the archive unpacks to more than {limits.unpacked_bytes} bytes")
        if self._spent_bytes > max(limits.expansion_free_bytes, limits.expansion * self._archive_bytes):
            raise HostileArchiveError(f"the archive unpacks to more than {limits.expansion} times its size")


class Expanded(io.RawIOBase):
    """Reads the concatenated streams of `file` (gzip members, bzip2 or xz streams) as one."""

    def __init__(self, file: BinaryIO, compression: str, budget: Budget) -> None:
        super().__init__()
        self._file = file
        self._compression = compression
        self._magic = next(magic for magic, name in MAGIC.items() if name == compression)
        self._budget = budget
        self._decoder = _decoder(compression)
        self._ahead = b""  # read beyond the end of the stream before
        self._finished = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._next(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _next(self, size_bytes: int) -> bytes:
        while not self._finished:
            more = b""
            if self._decoder.needs_input:
                more, self._ahead = self._ahead or self._file.read(_CHUNK_BYTES), b""
                if not more:
                    raise HostileArchiveError("the archive ends in the middle")
            try:
                data = self._decoder.decompress(more, size_bytes)
            except (zlib.error, lzma.LZMAError, OSError, EOFError, MemoryError) as error:
                raise HostileArchiveError(f"the archive's {self._compression} data is damaged: {error}") from error
            if self._decoder.eof:
                self._next_stream()
            if data:
                self._budget.spend(len(data))
                return data
        return b""

    def _next_stream(self) -> None:
        """After the end of a stream: go on with another, accept zero bytes as padding, refuse anything else."""
        rest = self._decoder.unused_data
        while not rest.strip(b"\0"):
            rest = self._file.read(_CHUNK_BYTES)
            if not rest:
                self._finished = True
                return
        if len(rest) < len(self._magic):
            rest += self._file.read(len(self._magic))
        if not rest.startswith(self._magic):
            raise HostileArchiveError(f"something follows the end of the archive's {self._compression} data")
        self._decoder = _decoder(self._compression)
        self._ahead = rest
