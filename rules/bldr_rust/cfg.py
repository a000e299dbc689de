"""Conditions of Cargo's manifests, as `cfg(all(unix, target_arch = "x86_64"))`, decided for one platform."""

import re
from collections.abc import Iterator

from bldr.api import Platform

_TOKEN = re.compile(r'\s*(?:([A-Za-z_][A-Za-z0-9_]*)|"([^"]*)"|([(),=]))')
_SYSTEMS = {
    "linux": ("unix", "linux", "gnu", "unknown-linux-gnu"),
    "macos": ("unix", "macos", "", "apple-darwin"),
    "windows": ("windows", "windows", "msvc", "pc-windows-msvc"),
}


def applies(condition: str, platform: Platform) -> bool:
    """Whether a key of the table `target` means this platform. Raises ValueError where it cannot be read."""
    if not condition.startswith("cfg("):
        return condition == triple(platform)
    tokens = list(_tokens(condition))[2:]
    value, rest = _expression(tokens, _facts(platform))
    if rest != [("", ")")]:
        raise ValueError(f'"{condition}" is no condition')
    return value


def triple(platform: Platform) -> str:
    """The platform's name among compilers of Rust."""
    return f"{platform.arch}-{_SYSTEMS[platform.os][3]}"


def _facts(platform: Platform) -> frozenset[tuple[str, str]]:
    family, system, abi, _ = _SYSTEMS[platform.os]
    return frozenset(
        {
            (family, ""),
            ("target_family", family),
            ("target_os", system),
            ("target_env", abi),
            ("target_arch", platform.arch),
            ("target_endian", "little"),
            ("target_pointer_width", "64"),
            ("panic", "unwind"),
        }
    )


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Pairs of kind and text: "name", "text", and "" for punctuation."""
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f'"{text}" is no condition')
        name, quoted, mark = match.groups()
        yield ("name", name) if name else ("", mark) if mark else ("text", quoted)
        at = match.end()


def _expression(tokens: list[tuple[str, str]], facts: frozenset[tuple[str, str]]) -> tuple[bool, list[tuple[str, str]]]:
    """The value of the first expression, and what stands behind it."""
    if not tokens or tokens[0][0] != "name":
        raise ValueError("a condition is not complete")
    name, rest = tokens[0][1], tokens[1:]
    if rest[:1] == [("", "=")]:
        if rest[1:2] == [] or rest[1][0] != "text":
            raise ValueError(f'"{name}" is compared with nothing')
        return (name, rest[1][1]) in facts, rest[2:]
    if rest[:1] != [("", "(")]:
        return name == "true" or (name, "") in facts, rest
    values: list[bool] = []
    rest = rest[1:]
    while rest[:1] != [("", ")")]:
        value, rest = _expression(rest, facts)
        values.append(value)
        if rest[:1] == [("", ",")]:
            rest = rest[1:]
        elif rest[:1] != [("", ")")]:
            raise ValueError("a condition is not complete")
    if name not in ("all", "any", "not"):
        raise ValueError(f'"{name}(...)" is no condition')
    decided = all(values) if name == "all" else any(values)
    return (not decided if name == "not" else decided), rest[1:]
