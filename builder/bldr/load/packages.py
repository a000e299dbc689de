"""Reads one package: the data of a Builderfile and the files beside it -> its targets, or all mistakes in them."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from bldr.api.attributes import HermeticSettings, TargetAttributes, TestAttributes
from bldr.api.errors import Problem
from bldr.api.labels import Label, parse_label
from bldr.load.directories import Directory
from bldr.load.files import expand_files
from bldr.load.positions import Path
from bldr.load.schema import Schemas, TargetLayout
from bldr.load.settings import check_hermetic, check_unit, check_variables, merge_settings
from bldr.load.suggest import suggest
from bldr.load.syntax import Source
from bldr.load.targets import Package, Target
from bldr.load.units import parse_duration
from bldr.load.validate import Mistake, describe_value, dotted, find_mistakes
from bldr.load.visibility import PRIVATE, PUBLIC, Visibility, VisibilityError, parse_visibility

ROOT_TABLES = frozenset(("config", "external", "toolchain", "workspace"))
"""Tables that only the Builderfile at a workspace's root may have."""

_TABLES = ("config", "external", "hermetic", "target", "toolchain", "workspace")
_NO_NAMES = frozenset(("", ".", "..", "...", "all"))
_NUL_ESCAPE = re.compile(r"\\(?:u0000|U00000000|x00)")


def read_package(
    source: Source, directory: Directory, repository: str, path: str, outer: HermeticSettings, schemas: Schemas,
    allowed: frozenset[str],
) -> tuple[Package, list[Problem]]:  # fmt: skip
    """The package of one Builderfile. `allowed` are the tables of `ROOT_TABLES` that are in their place here."""
    return _Reader(source, directory, repository, path, schemas).read(outer, allowed)


def to_problems(source: Source, owner: str, path: Path, mistakes: list[Mistake]) -> list[Problem]:
    """Mistakes in the table at `path`, at their places; `owner` says whose table it is."""
    prefix = f"{owner}: " if owner else ""
    return [
        source.problem((*path, *mistake.path), prefix + mistake.message, mistake.hint, value=not mistake.at_key)
        for mistake in mistakes
    ]


class _Reader:
    def __init__(self, source: Source, directory: Directory, repository: str, path: str, schemas: Schemas) -> None:
        self.source = source
        self.directory = directory
        self.repository = repository
        self.path = path
        self.schemas = schemas
        self.problems: list[Problem] = []

    def read(self, outer: HermeticSettings, allowed: frozenset[str]) -> tuple[Package, list[Problem]]:
        data = self.source.data
        for key in data:
            if key not in _TABLES or (key in ROOT_TABLES and key not in allowed):
                self._refuse_table(key)
        package = Package(self.repository, self.path, self.source, self._hermetic(data.get("hermetic", {}), outer))
        if _NUL_ESCAPE.search(self.source.text):
            for path in _find_nul(data, ()):
                self.problems.append(self.source.problem(path, f'"{dotted(path)}" holds a NUL character', value=True))
        targets = data.get("target", {})
        if not isinstance(targets, dict):
            hint = "write a table for each target: [target.NAME]"
            message = f'"target" must be a table of targets, not {describe_value(targets)}'
            self.problems.append(self.source.problem(("target",), message, hint))
            targets = {}
        read = (self._target(package, name, table) for name, table in targets.items())
        package.targets = tuple(target for target in read if target is not None)
        return package, self.problems

    def _refuse_table(self, key: str) -> None:
        if key in ROOT_TABLES:
            message = f"[{key}] belongs into the Builderfile at the root of the workspace"
            hint = "remove it" if key == "workspace" else "move it there"
        else:
            message = f'unknown table "{key}"'
            hint = suggest(key, _TABLES) or f"the tables are: {', '.join(_TABLES[:-1])} and {_TABLES[-1]}"
            if isinstance(self.source.data[key], dict) and "type" in self.source.data[key]:
                hint = f"the table of a target is [target.{key}]"
        self.problems.append(self.source.problem((key,), message, hint))

    def _hermetic(self, table: Any, outer: HermeticSettings) -> HermeticSettings:
        if table == {}:
            return outer
        mistakes = find_mistakes(table, HermeticSettings)
        if isinstance(table, dict):
            mistakes += check_hermetic(_sound_part(table, mistakes), ())
        if mistakes:
            self.problems += to_problems(self.source, "hermetic", ("hermetic",), mistakes)
            return outer
        return merge_settings(msgspec.convert(table, HermeticSettings), outer)

    def _target(self, package: Package, name: str, table: Any) -> Target | None:
        mistakes = _check_name(name)
        if not isinstance(table, dict):
            hint = "every target has a table with its name: [target.NAME]"
            mistakes.append(Mistake((), f"must be a table, not {describe_value(table)}", hint, at_key=True))
            self._report(name, mistakes)
            return None
        layout, attributes = self._attributes(name, table, mistakes)
        values = _sound_part(table, mistakes) if mistakes else table
        files = {}
        for attribute in layout.files:
            entries = _entries(values, attributes, attribute)
            files[attribute] = expand_files(
                self.directory, entries, attribute, mistakes,
                repository=self.repository, package=self.path, data=self.source.data,
            ) if entries else ()  # fmt: skip
        labels = {}
        for attribute in layout.labels:
            entries = _entries(values, attributes, attribute)
            labels[attribute] = self._labels(entries, attribute, mistakes) if entries else ()
        visibility = self._visibility(values, mistakes)
        self._check_values(values, layout, mistakes)
        if mistakes or attributes is None:
            self._report(name, mistakes)
            return None
        hermetic = package.hermetic
        if "hermetic" in table:
            hermetic = merge_settings(attributes.hermetic, hermetic)
        label = Label(self.repository, self.path, name)
        return Target(label, package, layout.key, attributes, files, labels, visibility, hermetic)

    def _attributes(
        self, name: str, table: dict[str, Any], mistakes: list[Mistake]
    ) -> tuple[TargetLayout, TargetAttributes | None]:
        """The layout of a target and its attributes; adds to `mistakes` why there are none."""
        type, language = table.get("type"), table.get("language")
        if not isinstance(type, str | None) or not isinstance(language, str | None):
            mistakes += find_mistakes(table, TargetAttributes, self.schemas.bare.info, extra_keys=True)
            return self.schemas.bare, None
        layout = self.schemas.layout(type, language) if type is not None else None
        if layout is None:
            found = find_mistakes({"type": "", **table}, TargetAttributes, self.schemas.bare.info, extra_keys=True)
            mistakes += [self.schemas.explain_unknown(name, table), *found]
            return self.schemas.bare, None
        try:
            return layout, msgspec.convert(table, layout.struct)
        except msgspec.ValidationError:
            mistakes += find_mistakes(table, layout.struct, layout.info)
            return layout, None

    def _labels(self, entries: Any, attribute: str, mistakes: list[Mistake]) -> tuple[Label, ...]:
        labels: dict[Label, None] = {}
        for index, text in enumerate(entries):
            try:
                label = parse_label(text, self.path, self.repository)
            except ValueError as error:
                message, _, hint = str(error).partition(": ")
                if text in self.source.data["target"]:
                    hint = f'did you mean ":{text}"?'
                mistakes.append(Mistake((attribute, index), message, hint))
                continue
            if label in labels:
                mistakes.append(Mistake((attribute, index), f'"{text}" is named twice by {attribute}', "remove one"))
            labels[label] = None
        return tuple(labels)

    def _visibility(self, values: dict[str, Any], mistakes: list[Mistake]) -> Visibility:
        value = values.get("visibility", "private")
        if value == "private":
            return PRIVATE
        if value == "public":
            return PUBLIC
        try:
            return parse_visibility(value, self.repository)
        except VisibilityError as error:
            place: Path = ("visibility",) if error.index is None else ("visibility", error.index)
            mistakes.append(Mistake(place, str(error), error.hint))
            return PRIVATE

    def _check_values(self, values: dict[str, Any], layout: TargetLayout, mistakes: list[Mistake]) -> None:
        if "hermetic" in values:
            mistakes += check_hermetic(values["hermetic"], ("hermetic",))
        if "env" in values or "env_inherit" in values:
            mistakes += check_variables(values.get("env", {}), values.get("env_inherit", []))
        if "timeout" in values and issubclass(layout.struct, TestAttributes):
            mistakes += check_unit(values["timeout"], parse_duration, ("timeout",))

    def _report(self, name: str, mistakes: list[Mistake]) -> None:
        self.problems += to_problems(self.source, f'target "{name}"', ("target", name), mistakes)


def _sound_part(table: dict[str, Any], mistakes: list[Mistake]) -> dict[str, Any]:
    """What of a table can be looked at further: all but the keys, at two levels, that something is wrong with."""
    sound = dict(table)
    for mistake in mistakes:
        if not mistake.path:
            continue
        key, *below = mistake.path
        assert isinstance(key, str)  # a table has keys, a list has indices
        if below and isinstance(sound.get(key), dict):
            sound[key] = {inner: value for inner, value in sound[key].items() if inner != below[0]}
        else:
            sound.pop(key, None)
    return sound


def _entries(values: dict[str, Any], attributes: TargetAttributes | None, attribute: str) -> Any:
    """What an attribute lists: as written, or its handler's default."""
    value = values[attribute] if attribute in values else getattr(attributes, attribute, ())
    return (value,) if isinstance(value, str) else value


def _check_name(name: str) -> list[Mistake]:
    if name not in _NO_NAMES and _NO_NAMES.isdisjoint(name.split("/")):
        try:
            parse_label(f":{name}")
        except ValueError:
            pass
        else:
            return []
    hint = "names are made of letters, digits and _ . + = , @ ~ # - with single slashes between"
    if name == "all":
        hint = 'the pattern ":all" stands for every target of a package'
    return [Mistake((), "this cannot be the name of a target", hint, at_key=True)]


def _find_nul(value: Any, path: Path) -> Iterator[Path]:
    """The paths of strings with a NUL in them, which no command and no file name can carry."""
    if isinstance(value, str) and "\0" in value:
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            if "\0" in key:
                yield (*path, key)
            yield from _find_nul(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _find_nul(item, (*path, index))
