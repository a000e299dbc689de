"""Text that is safe and short enough to show: logs without control sequences, durations and sizes.

A log is bytes that a stranger wrote. The file on disk keeps them; what is shown can neither move the cursor, nor set
the clipboard, nor hide a line. Sequences are those of ECMA-48 and of xterm's control sequences.
"""

import re
from typing import NamedTuple

from bldr.printable import escaped
from bldr.system import os

# Possessive quantifiers keep the scan linear on hostile input. A string sequence (OSC, DCS, SOS, PM, APC) without its
# terminator loses only its introducer: otherwise one byte could swallow the rest of the log.
_CONTROL = (
    "(?:\x1b[\\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\x18\x1a]*+(?:\x07|\x1b\\\\|\x9c)"  # OSC and its kin
    "|(?:\x1b\\[|\x9b)[0-?]*+[ -/]*+[@-~]"  # CSI
    "|\x1b[ -/]*+[0-~]"  # the other escape sequences
    "|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"  # what is left of C0 and C1
)
_BIDIRECTIONAL = "[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"

SHOWN_BYTES = 64 << 10
"""How much of a log is shown; the end, which tells more, gets three quarters of it."""


def sanitize(raw: bytes | str) -> str:
    """The printable text of `raw`: no escape sequence, no control character but newline and tab.

    A carriage return that would overwrite a line starts a new one, so that nothing is hidden. Characters that turn the
    direction of writing, which can make a line read as another, appear by name.
    """
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    text = text.replace("\r\n", "\n")
    text = re.sub(_CONTROL, "", text)
    text = re.sub("\r+\n?", "\n", text)
    return re.sub(_BIDIRECTIONAL, lambda match: f"<U+{ord(match[0]):04X}>", text)


class Excerpt(NamedTuple):
    """What is shown of a log. `left_out_bytes` is 0 where all of it is."""

    text: str
    left_out_bytes: int


def excerpt(path: str, shown_bytes: int = SHOWN_BYTES) -> Excerpt:
    """Read the beginning and the end of the log at `path`; a log that is gone is said to be gone.

    Cuts between lines and says what is missing and where the whole is.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        return Excerpt(f"(the log {escaped(path)} cannot be read: {error.strerror})\n", 0)
    try:
        size_bytes = os.fstat(descriptor).st_size
        if size_bytes <= shown_bytes:
            return Excerpt(_ended(sanitize(_read(descriptor, 0, shown_bytes))), 0)
        head = _read(descriptor, 0, shown_bytes // 4)
        tail = _read(descriptor, size_bytes - shown_bytes * 3 // 4, shown_bytes * 3 // 4)
    finally:
        os.close(descriptor)
    head = head[: head.rfind(b"\n") + 1] or head
    tail = tail[tail.find(b"\n") + 1 :] or tail
    left_out_bytes = size_bytes - len(head) - len(tail)
    middle = f"... {size(left_out_bytes)} left out, the whole log is {escaped(path)}\n"
    return Excerpt(_ended(sanitize(head)) + middle + _ended(sanitize(tail)), left_out_bytes)


def duration(seconds: float) -> str:
    """A duration as people write it: `0.4s`, `12.3s`, `2m 05s`, `1h 02m`."""
    if seconds < 59.95:
        return f"{max(seconds, 0.0):.1f}s"
    whole_s = round(seconds)
    if whole_s < 3600:
        return f"{whole_s // 60}m {whole_s % 60:02d}s"
    return f"{whole_s // 3600}h {whole_s % 3600 // 60:02d}m"


def size(count_bytes: float) -> str:
    """A size as people write it: `512 B`, `1.5 KiB`, `2.0 GiB`."""
    if count_bytes < 1024:
        return f"{count_bytes:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        count_bytes /= 1024
        if count_bytes < 1023.95:
            return f"{count_bytes:.1f} {unit}"
    return f"{count_bytes / 1024:.1f} TiB"


def count(number: int, noun: str) -> str:
    """A number with its noun: `1 action`, `3 actions`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _read(descriptor: int, offset: int, length_bytes: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)
    chunks = []
    while length_bytes > 0 and (chunk := os.read(descriptor, length_bytes)):
        chunks.append(chunk)
        length_bytes -= len(chunk)
    return b"".join(chunks)


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
