"""Names and patterns of files -> the files of one package: `*`, `?`, `[...]` within a name, `**` across directories.

A pattern never leaves its package: it does not enter packages and workspaces below, caches, outputs and the stores of
version control. As in a shell, wildcards do not match a leading dot. Links are followed while they stay inside.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bldr.load.directories import Boundary, Directory, Kind, LinkError, follow
from bldr.load.names import NEVER_ENTERED
from bldr.load.suggest import suggest
from bldr.printable import is_printable
from bldr.system import os

MOST_ENTERED_LINKS = 10_000
"""Directories that one pattern may enter through links, which can multiply paths without an end."""

_WILDCARD = re.compile(r"[*?\[]")


class SourceError(Exception):
    """A name or pattern that stands for no file of the package; says why, and what may help."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class _Step(NamedTuple):
    """One part of a pattern: a literal name, a compiled wildcard, or `**` (neither)."""

    literal: str | None = None
    wildcard: re.Pattern[str] | None = None


class _Position(NamedTuple):
    """A directory that a pattern has reached: by which path, how far in the pattern, through which directories."""

    directory: Directory
    path: str
    step: int
    through: tuple[Directory, ...]


def is_label(text: str) -> bool:
    """Whether an entry of a file list names a target rather than files."""
    return text.startswith((":", "//", "@"))


def is_pattern(text: str) -> bool:
    return _WILDCARD.search(text) is not None


def find_file(package: Directory, name: str) -> str:
    """`name`, once it is sure that it is a file of the package. Raises SourceError."""
    parts = split_name(name)
    at: Directory = package
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        found = _resolve(package, at, part, name, last=last)
        if found is None or (found is Kind.FILE and not last):
            raise _no_source(package, at, name, parts[: index + 1], last=last)
        if isinstance(found, Directory):
            if found is not package:
                _refuse_boundary(found, name)
            if last:
                raise SourceError(f'the source "{name}" is a directory', f'name its files: "{name}/**"')
            at = found
        elif found is Kind.SPECIAL:
            raise SourceError(f'the source "{name}" is not a regular file')
    return name


def match_pattern(package: Directory, pattern: str) -> list[str]:
    """The files of the package that match, as sorted paths below it; possibly none. Raises SourceError."""
    steps = [_compile(part, pattern) for part in split_name(pattern)]
    steps = [step for index, step in enumerate(steps) if not (_is_deep(step) and index and _is_deep(steps[index - 1]))]
    if _is_deep(steps[-1]):
        steps.append(_compile("*", pattern))
    found: set[str] = set()
    visited: set[tuple[str, int]] = set()
    entered_links = 0
    waiting = [_Position(package, "", 0, (package,))]
    while waiting:
        position = waiting.pop()
        if (position.path, position.step) in visited:
            continue
        visited.add((position.path, position.step))
        step = steps[position.step]
        if _is_deep(step):
            waiting.append(position._replace(step=position.step + 1))
        last = position.step == len(steps) - 1
        for name, entry, is_link in _matching(package, position.directory, step, pattern, last=last):
            path = position.path + name
            if not isinstance(entry, Directory):
                if last and entry is Kind.FILE:
                    found.add(_printable(path))
            elif not last and entry.boundary is None and not (is_link and entry in position.through):
                entered_links += is_link
                if entered_links > MOST_ENTERED_LINKS:
                    raise SourceError(
                        f'the pattern "{pattern}" enters more than {MOST_ENTERED_LINKS} linked directories'
                    )
                next_step = position.step + (not _is_deep(step))
                waiting.append(_Position(entry, f"{path}/", next_step, (*position.through, entry)))
    return sorted(found)


def split_name(name: str) -> list[str]:
    """The parts of a path below the package, once it is sure that it is one. Raises SourceError."""
    if not name:
        raise SourceError("a source has an empty name")
    if not is_printable(name):
        raise SourceError(f"the source {name!a} has a control character in its name", "rename the file")
    if name.startswith("/"):
        raise SourceError(
            f'the source "{name}" is an absolute path', "name files relative to the Builderfile's directory"
        )
    if "\\" in name:
        raise SourceError(f'the source "{name}" has a backslash', f'write "{name.replace(chr(92), "/")}"')
    parts = name.split("/")
    if ".." in parts:
        raise SourceError(
            f'the source "{name}" is outside the package',
            'put a Builderfile there and name its target: "//package:name"',
        )
    if "" in parts or "." in parts:
        normal = "/".join(part for part in parts if part not in ("", "."))
        raise SourceError(f'the source "{name}" is not a normal path', f'write "{normal}"' if normal else "")
    return parts


def is_normal_path(path: str) -> bool:
    """Whether a path is relative, leads downwards only, and is written in its shortest form."""
    try:
        split_name(path)
    except SourceError:
        return False
    return True


def files_below(package: Directory) -> Iterator[str]:
    """Every file of the package by its path below it, links and hidden directories left out: for suggestions."""
    waiting = [(package, "")]
    while waiting:
        directory, above = waiting.pop()
        try:
            entries = directory.entries
        except OSError:
            continue
        for name, entry in entries.items():
            if entry is Kind.FILE:
                yield above + name
            elif isinstance(entry, Directory) and entry.boundary is None and not name.startswith("."):
                waiting.append((entry, f"{above}{name}/"))


def explain_no_match(package: Directory, pattern: str) -> SourceError:
    """The pattern that matches nothing, with what may be the reason."""
    message = f'the pattern "{pattern}" matches no file of the package'
    if "{" in pattern:
        return SourceError(message, "braces have no meaning in a pattern: write one pattern for each")
    at = package
    for part in pattern.split("/")[:-1]:
        if is_pattern(part):
            break
        entry = at.entries.get(part)
        if not isinstance(entry, Directory):
            names = [name for name, other in at.entries.items() if isinstance(other, Directory)]
            return SourceError(message, suggest(part, names) or f'there is no directory "{part}"')
        if entry.boundary is not None:
            why = f'"{entry.path}" {entry.boundary.value}'
            return SourceError(message, ": ".join(filter(None, (why, _target_below(entry)))))
        at = entry
    return SourceError(message, "a pattern must match something: a misspelt one would build less than it says")


def _is_deep(step: _Step) -> bool:
    return step.literal is None and step.wildcard is None


def _compile(part: str, pattern: str) -> _Step:
    if part == "**":
        return _Step()
    if not is_pattern(part):
        return _Step(literal=part)
    if "**" in part:
        raise SourceError(
            f'the pattern "{pattern}" is malformed', '"**" stands alone between slashes, as in "src/**/*.c"'
        )
    expression = "" if part.startswith(".") else r"(?!\.)"
    at = 0
    while at < len(part):
        letter = part[at]
        at += 1
        if letter == "*":
            expression += ".*"
        elif letter == "?":
            expression += "."
        elif letter == "[":
            negated = at < len(part) and part[at] in "!^"
            # A bracket that comes first stands for itself.
            end = part.find("]", at + negated + 1)
            if end < 0:
                raise SourceError(
                    f'the pattern "{pattern}" is malformed', '"[" is never closed: write "[[]" for the letter'
                )
            members = re.sub(r"([\\\[\]^&~|])", r"\\\1", part[at + negated : end])
            expression += f"[{'^' if negated else ''}{members}]"
            at = end + 1
        else:
            expression += re.escape(letter)
    try:
        return _Step(wildcard=re.compile(expression, re.DOTALL))
    except re.error as error:
        raise SourceError(
            f'the pattern "{pattern}" is malformed', f'the range in "[...]" is wrong: {error.msg}'
        ) from error


def _matching(
    package: Directory, directory: Directory, step: _Step, pattern: str, *, last: bool
) -> Iterator[tuple[str, Directory | Kind, bool]]:
    """Name, what it is (links followed) and whether it is a link, of the entries of a directory that a step accepts."""
    entries = _entries(directory)
    if step.literal is not None:
        found = entries.get(step.literal)
        candidates = [] if found is None else [(step.literal, found)]
    elif step.wildcard is None:
        # `**` takes directories only: the step that follows it is tried in each of them.
        candidates = [item for item in entries.items() if item[1] is not Kind.FILE and not item[0].startswith(".")]
    else:
        matches = step.wildcard.fullmatch
        candidates = [item for item in entries.items() if matches(item[0])]
    for name, entry in candidates:
        if entry is not Kind.LINK:
            yield name, entry, False
            continue
        path = f"{directory.path}/{name}".removeprefix(f"{package.path}/").lstrip("/")
        try:
            yield name, follow(package, directory, name), True
        except LinkError as refused:
            # A wildcard looks for files in its last step and for directories before: other links do not matter to it.
            if step.literal is None and os.path.isdir(f"{directory.host}/{name}") == last:
                continue
            message = f'the pattern "{pattern}" matches "{path}", a link that {refused}'
            raise SourceError(message, "links are followed only inside the package") from refused
        except OSError as error:
            raise _unreadable(path, error) from error


def _resolve(package: Directory, directory: Directory, part: str, name: str, *, last: bool) -> Directory | Kind | None:
    entry = _entries(directory).get(part)
    if entry is not Kind.LINK:
        return entry
    try:
        return follow(package, directory, part)
    except LinkError as refused:
        what = f'goes through "{part}", a link that' if not last else "is a link that"
        raise SourceError(
            f'the source "{name}" {what} {refused}', "links are followed only inside the package"
        ) from refused
    except OSError as error:
        raise _unreadable(name, error) from error


def _entries(directory: Directory) -> dict[str, Directory | Kind]:
    try:
        return directory.entries
    except OSError as error:
        raise _unreadable(directory.path, error) from error


def _unreadable(path: str, error: OSError) -> SourceError:
    return SourceError(f'"{path}" cannot be read: {(error.strerror or str(error)).lower()}')


def _printable(path: str) -> str:
    if not is_printable(path):
        raise SourceError(f"the file {path!a} has a name that is not printable text", "rename the file")
    return path


def _refuse_boundary(directory: Directory, name: str) -> None:
    if directory.boundary is not None:
        message = f'the source "{name}" is outside the package: "{directory.path}" {directory.boundary.value}'
        raise SourceError(message, _target_below(directory))


def _target_below(directory: Directory) -> str:
    is_package = directory.boundary is Boundary.PACKAGE
    return f'name a target of it: "//{directory.path}:name"' if is_package else ""


def _no_source(package: Directory, at: Directory, name: str, parts: Sequence[str], *, last: bool) -> SourceError:
    """The source that is not there, with the file that may be meant: beside it, or elsewhere in the package."""
    message = f'no source "{name}"'
    missing = parts[-1]
    if missing in NEVER_ENTERED:
        return SourceError(message, f'"{missing}" is never part of a package')
    above = name[: -len(missing)] if last else ""
    if last:
        beside = [above + other for other, entry in _entries(at).items() if entry is not Kind.SPECIAL]
        hint = suggest(name, [other for other in beside if other != name])
        if hint:
            return SourceError(message, hint)
    files = list(files_below(package))
    elsewhere = [file for file in files if file.endswith("/" + name.rpartition("/")[2])]
    if elsewhere:
        return SourceError(message, f'did you mean "{min(elsewhere)}"?')
    return SourceError(message, suggest(name, files))
