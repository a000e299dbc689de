"""Where the tables, keys and values of a TOML text stand: one light scan, made only when a message needs a place.

The text is known to be TOML (tomli has read it), so the scan checks nothing. It follows TOML 1.1, of which 1.0 is a
subset: tables, arrays of tables, dotted and quoted keys, inline tables, and strings of all four kinds.
"""

import re
from typing import NamedTuple

import tomli

Path = tuple[str | int, ...]
"""Keys and array indices from the root of the document: ("target", "app", "sources", 2)."""

_BARE_KEY = re.compile(r"""[^\s.=\]\[{},"'#]+""")
_SCALAR = re.compile(r"[^,\]}\n#]*")
_BLANK = re.compile(r"[ \t]*")
_FILLING = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_QUOTE_OR_END = {quote: re.compile(rf"{quote}|\n") for quote in "\"'"}


class Offsets(NamedTuple):
    """Where something begins in the text: its key (or header, or array element) and its value."""

    key: int
    value: int


def end_of_string(text: str, start: int) -> int:
    """Where the string of any kind that begins at `start` ends.

    One that is never closed ends with its line or, in three quotes, with the text. Takes linear time whatever the
    text; a regular expression would do with possessive quantifiers, which early releases of Python 3.11 get wrong.
    """
    quote = text[start]
    if not text.startswith(quote * 3, start):
        for match in _QUOTE_OR_END[quote].finditer(text, start + 1):
            if match[0] == "\n":
                return match.start()
            if quote == "'" or not _is_escaped(text, match.start(), start):
                return match.end()
        return len(text)
    end = text.find(quote * 3, start + 3)
    while quote == '"' and end >= 0 and _is_escaped(text, end, start + 2):
        end = text.find(quote * 3, end + 1)
    if end < 0:
        return len(text)
    # The content may end with one or two quotes of its own.
    longest = end + 5
    end += 3
    while end < longest and text.startswith(quote, end):
        end += 1
    return end


def _is_escaped(text: str, at: int, start: int) -> bool:
    """Whether an odd number of backslashes stands before `at`, not looking at `start` or before."""
    first = at
    while first - 1 > start and text[first - 1] == "\\":
        first -= 1
    return (at - first) % 2 == 1


def index_positions(text: str) -> dict[Path, Offsets]:
    """The offsets of every table, key and array element of a TOML text."""
    scan = _Scan(text)
    scan.document()
    return scan.found


class _Scan:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[Path, Offsets] = {}
        self._counts: dict[Path, int] = {}  # of the tables of each array of tables

    def document(self) -> None:
        table: Path = ()
        self._skip(_FILLING)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_FILLING)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        assert match is not None  # the text is TOML
        self.at = match.end()

    def _next_is(self, token: str) -> bool:
        return self.text.startswith(token, self.at)

    def _header(self) -> Path:
        start = self.at
        is_array = self._next_is("[[")
        self.at += 2 if is_array else 1
        keys = self._keys()
        self.at += 2 if is_array else 1
        path: Path = ()
        for name, _ in keys[:-1]:
            path = (*path, name)
            self.found.setdefault(path, Offsets(start, start))
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
        path = (*path, keys[-1][0])
        if is_array:
            count = self._counts[path] = self._counts.get(path, 0) + 1
            self.found.setdefault(path, Offsets(start, start))
            path = (*path, count - 1)
        self.found[path] = Offsets(start, start)
        return path

    def _keys(self) -> list[tuple[str, int]]:
        """The parts of a dotted key, each with its offset."""
        keys = []
        while True:
            self._skip(_BLANK)
            start = self.at
            if self.text[start] in "\"'":
                self.at = end_of_string(self.text, start)
                name = tomli.loads(f"key={self.text[start : self.at]}")["key"]
            else:
                self._skip(_BARE_KEY)
                name = self.text[start : self.at]
            keys.append((name, start))
            self._skip(_BLANK)
            if not self._next_is("."):
                return keys
            self.at += 1

    def _pair(self, table: Path) -> None:
        path = table
        keys = self._keys()
        self.at += 1  # the equals sign
        self._skip(_BLANK)
        for name, offset in keys:
            path = (*path, name)
            self.found.setdefault(path, Offsets(offset, self.at))
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._next_is("["):
            self._array(path)
        elif self._next_is("{"):
            self._inline_table(path)
        elif self.text[self.at] in "\"'":
            self.at = end_of_string(self.text, self.at)
        else:
            self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        self.at += 1
        self._skip(_FILLING)
        index = 0
        while not self._next_is("]"):
            element = (*path, index)
            self.found[element] = Offsets(self.at, self.at)
            self._value(element)
            self._skip(_FILLING)
            if self._next_is(","):
                self.at += 1
                self._skip(_FILLING)
            index += 1
        self.at += 1

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        self._skip(_FILLING)
        while not self._next_is("}"):
            self._pair(path)
            self._skip(_FILLING)
            if self._next_is(","):
                self.at += 1
                self._skip(_FILLING)
        self.at += 1
