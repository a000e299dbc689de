"""What the head of a source file of Go says: the platforms that it is for, its package, imports and embedded files."""

import re
from typing import NamedTuple

from bldr.api import Platform

_SYSTEMS = (
    "aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux", "nacl",
    "netbsd", "openbsd", "plan9", "solaris", "wasip1", "windows", "zos",
)  # fmt: skip
_PROCESSORS = (
    "386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "loong64", "mips", "mipsle", "mips64",
    "mips64le", "mips64p32", "mips64p32le", "ppc", "ppc64", "ppc64le", "riscv", "riscv64", "s390", "s390x",
    "sparc", "sparc64", "wasm",
)  # fmt: skip
_UNIX = (
    "aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "linux", "netbsd",
    "openbsd", "solaris",
)  # fmt: skip
_NAMES = {"macos": "darwin", "x86_64": "amd64", "aarch64": "arm64", "i686": "386", "ppc64le": "ppc64le"}
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_PACKAGE = re.compile(r"^\s*package\s+(\w+)")
_IMPORTS = re.compile(r'\s*;?\s*import\s*(?:\(([^)]*)\)|([\w.]+\s+)?("[^"]+"|`[^`]+`))')
_QUOTED = re.compile(r'"([^"]+)"|`([^`]+)`')
_EMBED = re.compile(r"^//go:embed[ \t]+(.+)$", re.MULTILINE)
_WORD = re.compile(r'"[^"]*"|`[^`]*`|\S+')
_TOKEN = re.compile(r"\s*(\|\||&&|!|\(|\)|[\w.]+)")


class Head(NamedTuple):
    """`package` is its name."""

    package: str
    imports: tuple[str, ...]
    embedded: tuple[str, ...]


def tags_of(platform: Platform, build_tags: tuple[str, ...] = ()) -> frozenset[str]:
    """The words that constraints are made of and that hold here. No C is compiled: "cgo" is not among them."""
    system = _NAMES.get(platform.os, platform.os)
    processor = _NAMES.get(platform.arch, platform.arch)
    unix = ("unix",) if system in _UNIX else ()
    return frozenset((system, processor, "gc", *unix, *build_tags))


def is_for(name: str, text: str, tags: frozenset[str]) -> bool:
    """Whether a file takes part in a build: by its name (`_linux_amd64`) and by the constraint at its head."""
    stem = name.rpartition(".")[0]
    parts = stem.split("_")[1:]
    if len(parts) >= 2 and parts[-2] in _SYSTEMS and parts[-1] in _PROCESSORS:
        named = parts[-2:]
    else:
        named = [part for part in parts[-1:] if part in (*_SYSTEMS, *_PROCESSORS)]
    return all(part in tags for part in named) and _constraint_holds(text, tags)


def _constraint_holds(text: str, tags: frozenset[str]) -> bool:
    old = []
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("//go:build "):
            value, _ = _either(_TOKEN.findall(bare.removeprefix("//go:build ")), tags)
            return value
        if bare.startswith(("// +build ", "//+build ")):
            old.append(bare.partition("+build ")[2].split())
        elif bare and not bare.startswith(("//", "/*", "*")):
            break
    return all(any(all(_word(term, tags) for term in option.split(",")) for option in options) for options in old)


def _word(term: str, tags: frozenset[str]) -> bool:
    if term.startswith("!"):
        return not _word(term[1:], tags)
    return term in tags or re.fullmatch(r"go1\.\d+", term) is not None


def _either(tokens: list[str], tags: frozenset[str]) -> tuple[bool, list[str]]:
    value, rest = _both(tokens, tags)
    while rest[:1] == ["||"]:
        other, rest = _both(rest[1:], tags)
        value = value or other
    return value, rest


def _both(tokens: list[str], tags: frozenset[str]) -> tuple[bool, list[str]]:
    value, rest = _single(tokens, tags)
    while rest[:1] == ["&&"]:
        other, rest = _single(rest[1:], tags)
        value = value and other
    return value, rest


def _single(tokens: list[str], tags: frozenset[str]) -> tuple[bool, list[str]]:
    if not tokens:
        return False, []
    if tokens[0] == "!":
        value, rest = _single(tokens[1:], tags)
        return not value, rest
    if tokens[0] == "(":
        value, rest = _either(tokens[1:], tags)
        return value, rest[1:]
    return _word(tokens[0], tags), tokens[1:]


def head_of(text: str) -> Head:
    """Read a file up to its first declaration."""
    bare = _COMMENT.sub(lambda match: "\n" * match[0].count("\n") or " ", text)
    package = _PACKAGE.match(bare)
    if package is None:
        return Head("", (), ())
    at = package.end()
    imports: list[str] = []
    while match := _IMPORTS.match(bare, at):
        imports += [first or second for first, second in _QUOTED.findall(match[0])]
        at = match.end()
    embedded = [word.strip('"`') for line in _EMBED.findall(text) for word in _WORD.findall(line)]
    return Head(package[1], tuple(imports), tuple(dict.fromkeys(embedded)))
