"""Depfiles: the Makefile fragments in which compilers say what they read (GCC manual, -MD; Ninja's dialect)."""

import posixpath
import re
from collections.abc import Container

_WORD = r"(?s:\\\n|\\.|\$\$|[^\s\\])+"
_ESCAPE = r"(?s:\\\n|\\(.)|\$(\$))"


def parse_depfile(text: str) -> list[str]:
    """The prerequisites of all rules, in order, as they are spelled. Targets and line continuations are dropped."""
    found: dict[str, None] = {}
    for rule in re.split(r"(?<!\\)\n", text):
        words = re.findall(_WORD, rule)
        colon = next((index for index, word in enumerate(words) if word.endswith(":")), None)
        if colon is None:
            continue
        for word in words[colon + 1 :]:
            name = re.sub(_ESCAPE, _unescape, word)
            if name:
                found[name] = None
    return list(found)


def _unescape(match: re.Match[str]) -> str:
    escaped, dollar = match.groups()
    if dollar:
        return "$"
    if escaped is None:  # a line continuation
        return ""
    return escaped if escaped in " #\\" else f"\\{escaped}"


def reads_of(text: str, roots: tuple[str, ...], inputs: Container[str]) -> tuple[str, ...]:
    """The tree paths among the prerequisites that are `inputs`, sorted; `roots` are the tree's absolute paths.

    Everything else that a compiler names (system headers) belongs to toolchains, whose identity is in the key.
    """
    found = set()
    for name in parse_depfile(text):
        path = name
        for root in roots:
            path = path.removeprefix(root + "/")
        path = posixpath.normpath(path)
        if path in inputs:
            found.add(path)
    return tuple(sorted(found))
