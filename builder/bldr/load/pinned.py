"""Pinned toolchains: the tables `[toolchain.NAME]` of the workspace's Builderfile."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from bldr.load.externals import ExternalSource
from bldr.load.glob import is_normal_path
from bldr.load.suggest import suggest
from bldr.load.syntax import Place, Source
from bldr.load.validate import Mistake, find_mistakes

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_NAME_HINT = "names are made of letters, digits and _ . + -"


class ToolchainTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `toolchain.NAME`: the toolchain NAME is taken from an external source, and this machine is not asked.

    `commands` says what programs of the source's tree are called; one that needs arguments of its own in front of all
    others is a list. `env` is set for every action that uses the toolchain, `attributes` are what handlers ask of it.
    """

    external: str
    commands: dict[str, str | tuple[str, ...]] = {}
    env: dict[str, str] = {}
    attributes: dict[str, str] = {}


class PinnedToolchain(msgspec.Struct, frozen=True, kw_only=True):
    """A toolchain as a workspace asks for it; a command is a program of the tree and the arguments before others."""

    name: str
    external: str
    commands: dict[str, tuple[str, ...]]
    env: dict[str, str]
    attributes: dict[str, str]
    position: Place


def read_toolchain(
    name: str, table: Any, source: Source, externals: Mapping[str, ExternalSource]
) -> tuple[PinnedToolchain | None, list[Mistake]]:
    """One table of `toolchain`, or all that is wrong with it."""
    mistakes = find_mistakes(table, ToolchainTable)
    if not _NAME.fullmatch(name):
        mistakes.append(Mistake((), f'"{name}" cannot be the name of a toolchain', _NAME_HINT, at_key=True))
    if mistakes:
        return None, mistakes
    read = msgspec.convert(table, ToolchainTable)
    mistakes = _check(read, externals)
    if mistakes:
        return None, mistakes
    commands = {
        command: (words,) if isinstance(words, str) else tuple(words) for command, words in read.commands.items()
    }
    pinned = PinnedToolchain(
        name=name,
        external=read.external,
        commands=commands,
        env=read.env,
        attributes=read.attributes,
        position=source.place(("toolchain", name)),
    )
    return pinned, []


def _check(table: ToolchainTable, externals: Mapping[str, ExternalSource]) -> list[Mistake]:
    mistakes = []
    external = externals.get(table.external)
    if external is None:
        hint = suggest(table.external, list(externals)) or f"declare it: [external.{table.external}]"
        mistakes.append(Mistake(("external",), f'no external source "{table.external}"', hint))
    elif external.lock:
        message = f'"{table.external}" holds the packages of a lock file'
        mistakes.append(Mistake(("external",), message, "a toolchain comes out of one archive"))
    for command, words in table.commands.items():
        place = ("commands", command)
        program = words if isinstance(words, str) else words[0] if words else ""
        if not _NAME.fullmatch(command):
            mistakes.append(Mistake(place, f'"{command}" cannot be the name of a command', _NAME_HINT, at_key=True))
        if not is_normal_path(program):
            hint = f'write it relative to the tree of "{table.external}"'
            mistakes.append(Mistake(place, f'the command "{command}" names no program of the tree', hint))
    for variable in table.env:
        if not variable or "=" in variable:
            mistakes.append(Mistake(("env", variable), f'"{variable}" cannot be a variable', at_key=True))
    return mistakes
