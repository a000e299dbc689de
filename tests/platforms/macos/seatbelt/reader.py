"""S-expressions as the TinyScheme in libsandbox reads them: text to nested tuples, and nothing is let through that it
would refuse or read in another way."""

import os
import re
from typing import NamedTuple

FORM_LIMIT_BYTES = 64 << 10
"""Of one form at the top; a longer one has made libsandbox fail."""

_ESCAPES = {ord("n"): b"\n", ord("t"): b"\t", ord("r"): b"\r", ord('"'): b'"', ord("\\"): b"\\"}
_SPACE = b" \t\r\n\f"
_ENDS = _SPACE + b'()";'
_SYMBOL = re.compile(rb"[A-Za-z0-9*+/<=>!?:$%_&~^.-]+")


class ProfileError(Exception):
    """A profile that a Mac would refuse, or that this evaluator does not understand: both are wrong."""


class Symbol(str):
    """A name, as opposed to a string."""

    __slots__ = ()


class Regex(str):
    """The text of a `#"..."` literal, in which backslashes stand for themselves."""

    __slots__ = ()


class Form(NamedTuple):
    """One form at the top and where it stands, for messages and for tests that take it away."""

    value: tuple
    start: int
    end: int
    line: int


def read(text: bytes) -> list[Form]:
    """All forms of a profile. Raises ProfileError."""
    reader = _Reader(text)
    forms = []
    while reader.skip():
        start = reader.at
        line = text.count(b"\n", 0, start) + 1
        value = reader.value()
        if not isinstance(value, tuple):
            raise ProfileError(f"line {line}: {value!r} stands outside of every form")
        if reader.at - start > FORM_LIMIT_BYTES:
            raise ProfileError(f"line {line}: a form of {reader.at - start} bytes, more than {FORM_LIMIT_BYTES}")
        forms.append(Form(value, start, reader.at, line))
    return forms


class _Reader:
    def __init__(self, text: bytes) -> None:
        self.text = text
        self.at = 0
        if b"\0" in text:
            raise ProfileError("a NUL, at which libsandbox would stop reading")

    def skip(self) -> bool:
        """Past white space and comments; whether anything is left."""
        while self.at < len(self.text):
            if self.text[self.at] in _SPACE:
                self.at += 1
            elif self.text[self.at : self.at + 1] == b";":
                end = self.text.find(b"\n", self.at)
                self.at = len(self.text) if end < 0 else end
            else:
                return True
        return False

    def value(self):
        start = self.text[self.at : self.at + 1]
        if start == b"(":
            return self._list()
        if start == b'"':
            return os.fsdecode(self._string())
        if self.text[self.at : self.at + 2] == b'#"':
            return Regex(os.fsdecode(self._raw()))
        if self.text[self.at : self.at + 2] in (b"#t", b"#f"):
            self.at += 2
            return self.text[self.at - 1 : self.at] == b"t"
        found = _SYMBOL.match(self.text, self.at)
        if found is None:
            raise self._error(f"{start!r} begins nothing")
        self.at = found.end()
        if self.at < len(self.text) and self.text[self.at] not in _ENDS:
            raise self._error("a name is followed by something that is neither white space nor a parenthesis")
        word = found[0].decode()
        return int(word) if word.isdigit() else Symbol(word)

    def _list(self) -> tuple:
        opened = self.at
        self.at += 1
        items = []
        while self.skip():
            if self.text[self.at : self.at + 1] == b")":
                self.at += 1
                return tuple(items)
            items.append(self.value())
        self.at = opened
        raise self._error("a parenthesis that is not closed")

    def _string(self) -> bytes:
        opened = self.at
        self.at += 1
        parts = []
        while self.at < len(self.text):
            byte = self.text[self.at]
            self.at += 1
            if byte == ord('"'):
                return b"".join(parts)
            parts.append(bytes([byte]) if byte != ord("\\") else self._escape())
        self.at = opened
        raise self._error("a string that is not closed")

    def _escape(self) -> bytes:
        byte = self.text[self.at] if self.at < len(self.text) else 0
        self.at += 1
        if byte in _ESCAPES:
            return _ESCAPES[byte]
        digits = self.text[self.at : self.at + 2]
        if byte == ord("x") and re.fullmatch(rb"[0-9a-fA-F]{2}", digits) and digits != b"00":
            self.at += 2
            return bytes([int(digits, 16)])
        raise self._error(f"an escape of {chr(byte)!r}, on which readers do not agree")

    def _raw(self) -> bytes:
        end = self.text.find(b'"', self.at + 2)
        if end < 0:
            raise self._error("a raw string that is not closed")
        if self.text[end - 1] == ord("\\"):
            raise self._error("a quote after a backslash in a raw string, on which readers do not agree")
        found = self.text[self.at + 2 : end]
        self.at = end + 1
        return found

    def _error(self, what: str) -> ProfileError:
        return ProfileError(f"line {self.text.count(bytes([10]), 0, self.at) + 1}: {what}")
