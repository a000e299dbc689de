"""Reads one Builderfile: from bytes on disk to TOML data and, when a message needs them, positions in the text."""

import bisect
import os
import re
import stat
from typing import Any, NamedTuple, Protocol

import msgspec
import tomli

from bldr.api.errors import Problem, WorkspaceError
from bldr.load.positions import Offsets, Path, end_of_string, index_positions
from bldr.printable import escaped
from bldr.store.digest import sha256

BUILDERFILE = "Builderfile"
"""Control characters, line separators, and what stands for bytes that are not UTF-8."""

LARGEST_BYTES = 4 << 20
LARGEST_TEXT_BYTES = 64 << 20
"""Of what is read besides Builderfiles: lock files."""

DEEPEST = 64
"""Most levels that brackets may be nested, and most parts of a dotted key."""

_SMALL_BYTES = 2048
"""Below this, parsing costs no more than asking what it came to the last time."""

_FORM = 1
"""Raised when the same text must be parsed anew."""

_MARK = re.compile(r"""["'#\[\]{}.,=\n]""")
_DECLARED_TWICE = re.compile(r"Cannot declare \((.*?),?\) twice")


class Place(NamedTuple):
    """A spot in a file as people are shown it; lines and columns count from 1."""

    file: str
    line: int
    column: int


class Source:
    """The text of one Builderfile and the data in it.

    `file` is its path as people are shown it; an overlay stands for the Builderfile of an external source.
    """

    def __init__(self, file: str, text: str, data: dict[str, Any], *, is_overlay: bool = False) -> None:
        self.file = file
        self.text = text
        self.data = data
        self.is_overlay = is_overlay
        self._offsets: dict[Path, Offsets] | None = None
        self._line_starts: list[int] = []

    def place(self, path: Path, *, value: bool = False) -> Place:
        """Where a table, key or element stands, or the innermost thing around it that is spelt out in the text.

        With `value` the place of what is said rather than of the key that says it.
        """
        if self._offsets is None:
            self._offsets = index_positions(self.text)
            self._line_starts = [0, *(match.end() for match in re.finditer("\n", self.text))]
        for length in range(len(path), 0, -1):
            offsets = self._offsets.get(path[:length])
            if offsets is not None:
                return self._at(offsets.value if value and length == len(path) else offsets.key)
        return Place(self.file, 1, 1)

    def _at(self, offset: int) -> Place:
        line = bisect.bisect_right(self._line_starts, offset)
        return Place(self.file, line, offset - self._line_starts[line - 1] + 1)

    def problem(self, path: Path, message: str, hint: str = "", *, value: bool = False) -> Problem:
        return make_problem(self.place(path, value=value), message, hint)


def make_problem(place: Place, message: str, hint: str = "") -> Problem:
    """A problem whose texts may quote names of files and strings of a Builderfile: what no terminal should get, or
    could not be printed, is escaped.
    """
    return Problem(escaped(place.file), place.line, place.column, escaped(message), escaped(hint))


class Parsed(Protocol):
    """Remembers what texts came to, from one process to the next."""

    def get(self, key: str, /) -> bytes | None: ...

    def put(self, key: str, value: bytes, /) -> None: ...


def read_source(host_path: str, file: str, parsed: Parsed | None = None) -> Source:
    """The Builderfile at `host_path`, shown as `file`. `parsed` spares a large one that was read before the parsing.

    Raises WorkspaceError with one problem for what is not readable, too large, not text, too deep or not TOML.
    """
    try:
        content = _read_bytes(host_path, file)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _refusal(file, f"the Builderfile cannot be read: {reason}") from error
    return parse_source(content, file, parsed)


def parse_source(content: bytes, file: str, parsed: Parsed | None = None) -> Source:
    """As `read_source`, of bytes that are already here."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig")
        line, column = _line_and_column(before, len(before))
        message = f"the Builderfile is not text: the byte 0x{content[error.start]:02x} is not UTF-8"
        raise WorkspaceError([make_problem(Place(file, line, column), message, "save the file in UTF-8")]) from error
    if "\0" in text:
        place = Place(file, *_line_and_column(text, text.index("\0")))
        raise WorkspaceError([make_problem(place, "the Builderfile is not text: it holds a NUL byte")])
    if parsed is None or len(content) < _SMALL_BYTES:
        return Source(file, text, _parse(text, file))
    key = f"toml/{_FORM}/{sha256(content).hexdigest()}"
    data = _decoded(parsed.get(key))
    if data is None:
        data = _parse(text, file)
        encoded = _encoded(data)
        if encoded is not None:
            parsed.put(key, encoded)
    return Source(file, text, data)


def _parse(text: str, file: str) -> dict[str, Any]:
    """The data in a text. Raises WorkspaceError."""
    _refuse_depth(text, file)
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        message, hint = _explain(error)
        place = Place(file, error.lineno, error.colno)
        message = f"the Builderfile is not valid TOML: {message}"
        raise WorkspaceError([make_problem(place, message, hint)]) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, for one
        raise _refusal(file, f"the Builderfile is not valid TOML: {error}") from error


def _encoded(data: dict[str, Any]) -> bytes | None:
    """Data in a form that is read forty times as fast; None for what would not come back as it is: dates, for one."""
    try:
        encoded = msgspec.msgpack.encode(data)
        return encoded if msgspec.msgpack.decode(encoded) == data else None
    except (ValueError, OverflowError, RecursionError, msgspec.MsgspecError):  # a number of more than 64 bits
        return None


def _decoded(encoded: bytes | None) -> dict[str, Any] | None:
    """What was kept; None where it cannot be read."""
    try:
        return None if encoded is None else msgspec.msgpack.decode(encoded, type=dict[str, Any])
    except (RecursionError, msgspec.MsgspecError):
        return None


def has_workspace_table(host_path: str) -> bool:
    """Whether this file begins a workspace. A file with a syntax error counts if a line of it looks so.

    Raises WorkspaceError for what `read_source` would refuse and does not look so.
    """
    try:
        return "workspace" in read_source(host_path, host_path).data
    except WorkspaceError:
        try:
            text = _read_bytes(host_path, host_path).decode("utf-8-sig", "replace")
        except OSError:
            text = ""
        if re.search(r"^[ \t]*\[[ \t]*workspace[ \t]*\]", text, re.MULTILINE):
            return True
        raise


def read_text(host_path: str, file: str, what: str) -> str:
    """A text that is no Builderfile, shown as `file` and called `what` in messages. Raises WorkspaceError."""
    try:
        return _read_bytes(host_path, file, what, LARGEST_TEXT_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise _refusal(file, f"the {what} cannot be read: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        message = f"the {what} is not text: the byte 0x{error.object[error.start]:02x} is not UTF-8"
        raise _refusal(file, message, "save the file in UTF-8") from error


def _read_bytes(host_path: str, file: str, what: str = "Builderfile", most_bytes: int = LARGEST_BYTES) -> bytes:
    # A named pipe in the file's place must not make us wait for a writer.
    descriptor = os.open(host_path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _refusal(file, f"the {what} is not a regular file")
        if status.st_size > most_bytes:
            raise _too_large(file, what, most_bytes)
        with open(descriptor, "rb", buffering=0, closefd=False) as stream:
            content = stream.read(most_bytes + 1)
        if len(content) > most_bytes:  # it grew since
            raise _too_large(file, what, most_bytes)
        return content
    finally:
        os.close(descriptor)


def _refuse_depth(text: str, file: str) -> None:
    """Keep from tomli what would exhaust the stack (brackets) or take quadratic time (dotted keys)."""
    if text.count("[") + text.count("{") <= DEEPEST and text.count(".") <= DEEPEST:
        return
    depth = dots = 0
    match = _MARK.search(text)
    while match is not None:
        mark, at = match[0], match.start()
        after = at + 1
        if mark in "\"'":
            after = end_of_string(text, at)
        elif mark == "#":
            after = text.find("\n", at)
            if after < 0:
                return
        elif mark == ".":
            dots += 1
        else:
            dots = 0
            depth = depth + 1 if mark in "[{" else max(0, depth - 1) if mark in "]}" else depth
        if depth > DEEPEST or dots > DEEPEST:
            message = f"the Builderfile is nested more than {DEEPEST} levels deep"
            if dots > DEEPEST:
                message = f"a key has more than {DEEPEST + 1} parts"
            raise WorkspaceError([make_problem(Place(file, *_line_and_column(text, at)), message)])
        match = _MARK.search(text, after)


def _explain(error: tomli.TOMLDecodeError) -> tuple[str, str]:
    twice = _DECLARED_TWICE.fullmatch(error.msg)
    if twice is not None:
        name = ".".join(part.strip().strip("'\"") for part in twice[1].split(","))
        return f"the table [{name}] is declared twice", "join the two tables, or rename one"
    if error.msg == "Cannot overwrite a value":
        return "this key was given before", "keys and tables may be given once"
    return error.msg[:1].lower() + error.msg[1:], ""


def _refusal(file: str, message: str, hint: str = "") -> WorkspaceError:
    return WorkspaceError([make_problem(Place(file, 0, 0), message, hint)])


def _too_large(file: str, what: str, most_bytes: int) -> WorkspaceError:
    hint = "split it into packages" if what == "Builderfile" else ""
    return _refusal(file, f"the {what} is larger than {most_bytes >> 20} MiB", hint)


def _line_and_column(text: str, offset: int) -> tuple[int, int]:
    line_start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - line_start + 1
