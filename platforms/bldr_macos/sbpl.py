"""The syntax of Seatbelt's profile language (SBPL) as frozen values, and the one printer of it.

SBPL is Scheme, read by a TinyScheme. A string ends at the first `"` that no `\\` precedes, whatever else is in it, so a
name can change a profile only by these two characters; see docs/decisions/macos.md.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

PATH_BYTES_AT_MOST = 1023
"""PATH_MAX of macOS without its NUL; the reader of strings has a buffer of the same size."""

FORM_BYTES = 16 << 10
"""What one form is to have at most; 64 KiB is more than the compiler takes."""

_ESCAPED = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


class NameRefusedError(ValueError):
    """A name that no profile can hold, and no file on macOS can have."""


class Word(msgspec.Struct, frozen=True, order=True):
    """A symbol or a number of the language's own; never what somebody chose."""

    word: str


class Text(msgspec.Struct, frozen=True, order=True):
    """A string: any name."""

    text: str


class Pattern(msgspec.Struct, frozen=True, order=True):
    """A regular expression, `#"..."`, in which nothing can be escaped; never made of a name."""

    pattern: str


class Form(msgspec.Struct, frozen=True):
    """A list in parentheses."""

    items: "tuple[Word | Text | Pattern | Form, ...]"


Node = Word | Text | Pattern | Form


class Param(msgspec.Struct, frozen=True, order=True):
    """A path that is said beside the profile, by `-D name=path`."""

    name: str


Path = str | Param


def path(value: Path) -> Node:
    """As an argument of a filter."""
    return Form((Word("param"), Text(value.name))) if isinstance(value, Param) else Text(value)


def literal(value: Path) -> Form:
    """Matches the path alone."""
    return Form((Word("literal"), path(value)))


def subpath(value: Path) -> Form:
    """Matches the path and all below it."""
    return Form((Word("subpath"), path(value)))


def regex(pattern: str) -> Form:
    """Matches paths in which the pattern is found."""
    return Form((Word("regex"), Pattern(pattern)))


def call(name: str, *arguments: Node | str) -> Form:
    """A form of words and strings: `call("target", Word("same-sandbox"))`."""
    return Form((Word(name), *(Text(argument) if isinstance(argument, str) else argument for argument in arguments)))


def rules(
    action: Literal["allow", "deny"],
    operations: Sequence[str],
    filters: Sequence[Form],
    most_bytes: int = FORM_BYTES,
) -> tuple[Form, ...]:
    """As many rules of the same kind as the filters need: none where there is nothing that they are about."""
    if not filters:
        return ()
    head = _head(action, operations)
    size = length = len(_encode(print_node(Form(head))))
    made: list[Form] = []
    taken: list[Form] = []
    for filter_ in filters:
        bytes_ = len(_encode(print_node(filter_))) + len("\n    ")
        if taken and length + bytes_ > most_bytes:
            made.append(Form((*head, *taken)))
            taken, length = [], size
        taken.append(filter_)
        length += bytes_
    return (*made, Form((*head, *taken)))


def unfiltered(action: Literal["allow", "deny"], *operations: str) -> Form:
    """A rule about every object."""
    return Form(_head(action, operations))


def print_profile(forms: Sequence[Form]) -> str:
    """The text of a profile: a form after the other, filters in lines of their own. Raises NameRefusedError."""
    return "".join(f"{_print_rule(form)}\n" for form in forms)


def print_node(node: Node) -> str:
    """In one line. Raises NameRefusedError."""
    match node:
        case Word(word):
            return word
        case Text(text):
            return quote(text)
        case Pattern(pattern):
            return f'#"{pattern}"'
        case Form(items):
            return f"({' '.join(map(print_node, items))})"


def quote(text: str) -> str:
    """As a string literal. Raises NameRefusedError for what cannot be one."""
    if "\0" in text:
        raise NameRefusedError(f"a name with a NUL in it: {text!r}")
    if len(_encode(text)) > PATH_BYTES_AT_MOST:
        raise NameRefusedError(f"a name longer than {PATH_BYTES_AT_MOST} bytes: {text[:60]!r}...")
    return f'"{text.translate(_ESCAPED)}"'


def _head(action: str, operations: Sequence[str]) -> tuple[Word, ...]:
    return (Word(action), *map(Word, operations))


def _print_rule(form: Form) -> str:
    words = [item for item in form.items if not isinstance(item, Form)]
    filters = [item for item in form.items if isinstance(item, Form)]
    lines = [" ".join(map(print_node, words)), *map(print_node, filters)]
    separator = " " if len(filters) == 1 else "\n    "
    return f"({separator.join(lines)})"


def _encode(text: str) -> bytes:
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # half of a pair, which stands for no byte
        raise NameRefusedError(f"a name that is no text: {text!r}") from None
