"""Configurations: the tables `[config.NAME]` of the workspace's Builderfile, and what each comes to."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Literal

import msgspec

from bldr.api.configuration import Configuration
from bldr.api.errors import BldrError
from bldr.load.positions import Path
from bldr.load.settings import check_variables
from bldr.load.suggest import suggest
from bldr.load.validate import Mistake, describe_value, find_mistakes, quote

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_RESERVED = ("lock", "bldr-work")
"""Whose folders of outputs, with a dot before, bldr keeps for itself."""

DEFAULT = "default"
"""What asks for the default configuration, for whoever has another in the environment."""

BUILT_IN = {
    "debug": Configuration(name="debug", mode="debug"),
    "release": Configuration(name="release", mode="release"),
}
"""The configurations that need no table."""


class ConfigTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `config.NAME`. It adds to the configuration that it `extends`: flags come after that one's, variables
    take the place of those of the same name. The tables `debug` and `release` extend what they are without a table.
    """

    mode: Literal["debug", "release"] | None = None
    extends: str = ""
    flags: dict[str, tuple[str, ...]] = {}
    env: dict[str, str] = {}


def read_configurations(tables: Any, languages: Collection[str]) -> tuple[dict[str, Configuration], list[Mistake]]:
    """Every configuration of a workspace by its name, and all that is wrong with the table `config`.

    `languages` are those that handlers build. Paths of mistakes begin below the table.
    """
    found = dict(BUILT_IN)
    if not isinstance(tables, dict):
        hint = "write a table for each configuration: [config.NAME]"
        message = f'"config" must be a table of configurations, not {describe_value(tables)}'
        return found, [Mistake((), message, hint, at_key=True)]
    mistakes: list[Mistake] = []
    read: dict[str, ConfigTable] = {}
    for name, table in tables.items():
        wrong = [*_check_name(name), *_check_table(table, languages)]
        if not wrong:
            read[name] = msgspec.convert(table, ConfigTable)
        mistakes += [mistake._replace(path=(name, *mistake.path)) for mistake in wrong]
    known = {*BUILT_IN, *tables}
    for name, one in read.items():
        if one.extends and one.extends not in known:
            hint = suggest(one.extends, known - {name}) or f"the configurations are: {quote(sorted(known - {name}))}"
            message = f'it extends "{one.extends}", which is no configuration'
            mistakes.append(Mistake((name, "extends"), message, hint))
    for name in read:
        chain = _chain(name, read)
        if chain is None:
            mistakes.append(Mistake((name, "extends"), "it extends itself", "take one of the extends out"))
        else:
            found[name] = _merged(name, chain, read)
    return found, mistakes


def choose(name: str, configurations: Mapping[str, Configuration]) -> Configuration:
    """The configuration that a command line names; "" and "default" are the default one. Raises BldrError."""
    if name in ("", DEFAULT):
        return Configuration()
    if name not in configurations:
        hint = suggest(name, configurations) or f"the configurations are: {', '.join(sorted(configurations))}"
        raise BldrError(f'there is no configuration "{name}"', hint)
    return configurations[name]


def _check_name(name: str) -> list[Mistake]:
    if name == DEFAULT:
        hint = "say it of the targets, or give the configuration another name and ask for it with --config"
        return [Mistake((), "the default configuration has no table", hint, at_key=True)]
    if not _NAME.fullmatch(name):
        hint = "names are made of letters, digits and _ . -"
        return [Mistake((), "this cannot be the name of a configuration", hint, at_key=True)]
    if name.casefold() in _RESERVED:
        return [Mistake((), f'its outputs would stand at "bldr-out/.{name}", which bldr keeps for itself', "rename it",
                        at_key=True)]  # fmt: skip
    return []


def _check_table(table: Any, languages: Collection[str]) -> list[Mistake]:
    mistakes = find_mistakes(table, ConfigTable)
    if mistakes or not isinstance(table, dict):
        return mistakes
    for language in table.get("flags", {}):
        if language not in languages:
            path: Path = ("flags", language)
            hint = suggest(language, languages) or f"the installed handlers build: {quote(sorted(languages))}"
            mistakes.append(Mistake(path, f'no handler builds the language "{language}"', hint, at_key=True))
    mistakes += check_variables(table.get("env", {}), [])
    if "BLDR_ROOT" in table.get("env", {}):
        message = "BLDR_ROOT is set by bldr: it is where the tree stands"
        mistakes.append(Mistake(("env", "BLDR_ROOT"), message, "take it out", at_key=True))
    return mistakes


def _chain(name: str, read: Mapping[str, ConfigTable]) -> list[str] | None:
    """The tables that a configuration consists of, the innermost last; None where it extends itself."""
    chain = [name]
    while (above := read[chain[-1]].extends) in read:
        if above in chain:
            # [config.debug] extends = "debug" is what it would do anyway
            return chain[::-1] if above == chain[-1] and above in BUILT_IN else None
        chain.append(above)
    return chain[::-1]


def _merged(name: str, chain: list[str], read: Mapping[str, ConfigTable]) -> Configuration:
    outermost = chain[0]
    base = BUILT_IN.get(read[outermost].extends or outermost, Configuration())
    mode: Literal["default", "debug", "release"] = base.mode
    flags = dict(base.flags)
    env = dict(base.env)
    for one in (read[part] for part in chain):
        mode = one.mode or mode
        for language, more in one.flags.items():
            flags[language] = (*flags.get(language, ()), *more)
        env.update(one.env)
    return Configuration(name=name, mode=mode, flags=flags, env=env)
