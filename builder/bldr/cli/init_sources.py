"""From the C and C++ files of a directory to the targets that build them: programs, tests and a library of the rest."""

import json
import os
import posixpath
import re
from collections.abc import Iterator
from typing import NamedTuple

from bldr.load.directories import Boundary, Directory, Kind, walk
from bldr.load.syntax import BUILDERFILE

_C = (".c",)
_CXX = (".cc", ".cpp", ".cxx", ".C", ".c++")
_HEADERS = (".h", ".hh", ".hpp", ".hxx", ".h++", ".inc", ".inl")
_READ_BYTES = 4 << 20

_COMMENT_OR_TEXT = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)
_MAIN = re.compile(r"\bmain\s*\([^;{)]*\)[^;{]*\{")
_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*[<\"]([^>\"\n]+)[>\"]", re.MULTILINE)
_TEST = re.compile(r"(?:^|_)tests?(?:_|$)")
_WRITABLE = re.compile(r"[A-Za-z0-9_.+=,@~# /-]+")

_LINK_FLAGS = {"math.h": "-lm", "cmath": "-lm", "pthread.h": "-pthread", "threads.h": "-pthread", "thread": "-pthread"}
"""System headers whose functions are outside the C library's default part on some system."""


class Source(NamedTuple):
    """One file that is compiled."""

    path: str
    language: str
    has_main: bool
    includes: tuple[str, ...]


class Survey(NamedTuple):
    """What a directory holds."""

    sources: tuple[Source, ...]
    headers: tuple[str, ...]
    include: tuple[str, ...]  # directories that the sources' include lines count from
    link_flags: tuple[str, ...]
    left_out: tuple[str, ...]


class _Target(NamedTuple):
    name: str
    type: str
    sources: tuple[Source, ...]
    is_user: bool  # of the library, where there is one


def survey(directory: str) -> Survey:
    """Read the files of the package that `directory` is."""
    sources: list[Source] = []
    headers: list[str] = []
    left_out: list[str] = []
    for path in sorted(_files(Directory(directory))):
        extension = posixpath.splitext(path)[1]
        if extension not in (*_C, *_CXX, *_HEADERS):
            continue
        if not _WRITABLE.fullmatch(path):
            left_out.append(path)
        elif extension in _HEADERS:
            headers.append(path)
        else:
            sources.append(_read(directory, path, "c" if extension in _C else "c++"))
    include, link_flags = _needed(directory, sources, headers)
    return Survey(tuple(sources), tuple(headers), include, link_flags, tuple(left_out))


def builderfile(project: str, found: Survey, *, is_root: bool) -> str:
    """The text of the Builderfile."""
    parts = [f"[workspace]\nname = {_text(_name(project))}\n"] if is_root else []
    targets = _targets(_name(project), found)
    library = next((target for target in targets if target.type == "library"), None)
    for target in targets:
        settings = found if target is library or library is None else None
        deps = (f":{library.name}",) if library and target.is_user else ()
        parts.append(_table(target, settings, deps))
    return "\n".join(parts) or "# no sources of C or C++ were found here\n"


def _files(top: Directory) -> Iterator[str]:
    """The files of the package: packages below keep theirs, and what cannot be listed has none."""
    for directory in walk(top, frozenset()):
        try:
            entries = directory.entries
        except OSError:
            continue
        if directory is not top and BUILDERFILE in entries:
            directory.boundary = Boundary.WORKSPACE  # keeps the walk out of what is below, too
            continue
        above = f"{directory.path}/" if directory.path else ""
        yield from (above + name for name, entry in entries.items() if entry is Kind.FILE)


def _targets(project: str, found: Survey) -> list[_Target]:
    """The library first, then programs, then tests."""
    names: set[str] = set()
    programs: list[_Target] = []
    tests: list[_Target] = []
    rest: list[Source] = []
    for source in found.sources:
        stem = posixpath.splitext(posixpath.basename(source.path))[0]
        is_test = bool(_TEST.search(stem)) and source.has_main
        if not source.has_main:
            rest.append(source)
            continue
        name = _free(_name(stem), _name(posixpath.splitext(source.path)[0]), names)
        target = _Target(name, "test" if is_test else "executable", (source,), is_user=True)
        (tests if is_test else programs).append(target)
    if not rest and (not found.headers or len(programs) + len(tests) < 2):
        return programs + tests
    library = _Target(_free(project, f"{project}_lib", names), "library", tuple(rest), is_user=False)
    return [library, *programs, *tests]


def _table(target: _Target, settings: Survey | None, deps: tuple[str, ...]) -> str:
    language = "c++" if any(source.language == "c++" for source in target.sources) else "c"
    lines = [f"[target.{_key(target.name)}]", f"type = {_text(target.type)}", f"language = {_text(language)}"]
    lines.append(_list("sources", [source.path for source in target.sources]))
    if settings is not None:
        lines.append(_list("headers", settings.headers))
        lines.append(_list("include", settings.include))
        lines.append(_list("link_flags", settings.link_flags))
    lines.append(_list("deps", deps))
    return "\n".join(line for line in lines if line) + "\n"


def _list(name: str, values: "tuple[str, ...] | list[str]") -> str:
    if not values:
        return ""
    line = f"{name} = [{', '.join(map(_text, values))}]"
    if len(line) <= 100:
        return line
    return f"{name} = [\n" + "".join(f"    {_text(value)},\n" for value in values) + "]"


def _read(directory: str, path: str, language: str) -> Source:
    try:
        with open(os.path.join(directory, path), "rb") as file:
            text = file.read(_READ_BYTES).decode("utf-8", "replace")
    except OSError:
        text = ""
    includes = tuple(_INCLUDE.findall(text))
    return Source(path, language, bool(_MAIN.search(_COMMENT_OR_TEXT.sub(" ", text))), includes)


def _needed(directory: str, sources: list[Source], headers: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The include directories and link flags that the include lines of all files call for."""
    readers = [*sources, *(_read(directory, path, "") for path in headers)]
    known = set(headers)
    include: dict[str, None] = {}
    link_flags: dict[str, None] = {}
    for reader in readers:
        beside = posixpath.dirname(reader.path)
        for name in reader.includes:
            if posixpath.normpath(posixpath.join(beside, name)) in known:
                continue
            found = [path for path in headers if path == name or path.endswith(f"/{name}")]
            if found:
                nearest = min(found, key=lambda path: (path.count("/"), path))
                include[nearest.removesuffix(name).rstrip("/") or "."] = None
            elif name in _LINK_FLAGS:
                link_flags[_LINK_FLAGS[name]] = None
    return tuple(sorted(include)), tuple(sorted(link_flags))


def _name(text: str) -> str:
    """A target's name made of `text`."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("_") or "main"


def _free(name: str, otherwise: str, taken: set[str]) -> str:
    number = 2
    chosen = name if name not in taken else otherwise
    while chosen in taken:
        chosen = f"{otherwise}_{number}"
        number += 1
    taken.add(chosen)
    return chosen


def _key(name: str) -> str:
    """A key of TOML: bare where it can be."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(text: str) -> str:
    """A basic string of TOML, which for printable ASCII is JSON's."""
    return json.dumps(text)
