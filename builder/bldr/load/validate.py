"""Finds every mistake in one table of a Builderfile, and says it in people's words."""

import datetime
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from bldr.load.positions import Path
from bldr.load.suggest import suggest


class Mistake(NamedTuple):
    """What is wrong with the value at `path` (below the table that was looked at), or with its key."""

    path: Path
    message: str
    hint: str = ""
    at_key: bool = False


def find_mistakes(
    table: Any, struct: type[msgspec.Struct], info: inspect.StructType | None = None, *, extra_keys: bool = False
) -> list[Mistake]:
    """All mistakes in a table that should be read into `struct`; none means that msgspec takes it.

    `info` is what `struct_info` says of the struct, for callers who ask often. With `extra_keys` keys that the struct
    does not know are passed over.
    """
    info = info or struct_info(struct)
    mistakes = _check_struct(table, info, (), extra_keys=extra_keys)
    if mistakes or extra_keys:
        return mistakes
    try:
        msgspec.convert(table, struct)
    except msgspec.ValidationError as error:
        # Constraints of a handler's own (bounds, patterns): msgspec's sentence is as good as one of ours.
        return [_translate(error)]
    return []


def struct_info(struct: type[msgspec.Struct]) -> inspect.StructType:
    """The fields of a struct and their types; takes a millisecond or so."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    return info


def quote(names: Iterable[object]) -> str:
    """A list of names as a message shows it: "a", "b"."""
    return ", ".join(f'"{name}"' if isinstance(name, str) else str(name) for name in names)


def dotted(path: Path) -> str:
    """A path as people write it: hermetic.memory, sources[2]."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _check_struct(value: Any, info: inspect.StructType, path: Path, *, extra_keys: bool = False) -> list[Mistake]:
    if not isinstance(value, dict):
        return [_wrong(value, info, path)]
    known = {field.encode_name: field for field in info.fields}
    mistakes: list[Mistake] = []
    for key, item in value.items():
        field = known.get(key)
        if field is not None:
            mistakes += _check(item, field.type, (*path, key))
        elif not extra_keys:
            unused = [name for name in known if name not in value]
            hint = suggest(key, unused) or f"the keys are: {', '.join(sorted(known))}"
            mistakes.append(Mistake((*path, key), f'unknown key "{dotted((*path, key))}"', hint, at_key=True))
    for name, field in known.items():
        if field.required and name not in value:
            expected = _describe(field.type)
            mistakes.append(Mistake(path, f'"{dotted((*path, name))}" is missing', f"it is {expected}", at_key=True))
    return mistakes


def _check(value: Any, info: inspect.Type, path: Path) -> list[Mistake]:
    match info:
        case inspect.Metadata(type=inner):
            return _check(value, inner, path)
        case inspect.StructType():
            return _check_struct(value, info, path)
        case inspect.UnionType(types=members):
            return _check_union(value, info, members, path)
        case inspect.LiteralType(values=values):
            if value in values and not isinstance(value, bool):
                return []
            if not isinstance(value, str):
                return [_wrong(value, info, path)]
            hint = suggest(value, [str(other) for other in values])
            return [Mistake(path, f'"{dotted(path)}" is {quote([value])}, not one of {quote(values)}', hint)]
        case inspect.DictType(value_type=inner):
            if not isinstance(value, dict):
                return [_wrong(value, info, path)]
            return [mistake for key, item in value.items() for mistake in _check(item, inner, (*path, key))]
        case inspect.VarTupleType(item_type=inner) | inspect.ListType(item_type=inner):
            if not isinstance(value, list):
                return [_wrong(value, info, path)]
            return [mistake for index, item in enumerate(value) for mistake in _check(item, inner, (*path, index))]
        case _:
            return [] if _is_of(value, info) else [_wrong(value, info, path)]


def _check_union(value: Any, info: inspect.Type, members: tuple[inspect.Type, ...], path: Path) -> list[Mistake]:
    meant = [member for member in members if not isinstance(member, inspect.NoneType)]
    if len(meant) == 1:  # what may be left out is checked as what it is where it is there
        return _check(value, meant[0], path)
    tried = [_check(value, member, path) for member in members]
    if any(not mistakes for mistakes in tried):
        return []
    # Mistakes deeper than the value itself mean that this member is what the person had in mind.
    deeper = [mistakes for mistakes in tried if all(len(mistake.path) > len(path) for mistake in mistakes)]
    return deeper[0] if deeper else [_wrong(value, info, path)]


def _is_of(value: Any, info: inspect.Type) -> bool:
    """Whether a value of TOML is of a scalar type; types that are not known here are left to msgspec."""
    match info:
        case inspect.StrType():
            return isinstance(value, str)
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return isinstance(value, int) and not isinstance(value, bool)
        case inspect.FloatType():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case inspect.NoneType():
            return False
        case _:
            return True


def _wrong(value: Any, info: inspect.Type, path: Path) -> Mistake:
    hint = ""
    if isinstance(value, str) and "a list of strings" in _describe(info):
        hint = f'write ["{value}"]' if '"' not in value and "\\" not in value and "\n" not in value else ""
    name = f'"{dotted(path)}" ' if path else ""
    return Mistake(path, f"{name}must be {_describe(info)}, not {describe_value(value)}", hint)


def _describe(info: inspect.Type, *, plural: bool = False) -> str:
    match info:
        case inspect.Metadata(type=inner):
            return _describe(inner, plural=plural)
        case inspect.UnionType(types=members):
            names = [_describe(member, plural=plural) for member in members if not isinstance(member, inspect.NoneType)]
            return " or ".join(names)
        case inspect.LiteralType(values=values):
            return f"one of {quote(values)}"
        case inspect.VarTupleType(item_type=inner) | inspect.ListType(item_type=inner):
            return f"{'lists' if plural else 'a list'} of {_describe(inner, plural=True)}"
        case inspect.DictType(value_type=inner):
            return f"{'tables' if plural else 'a table'} of {_describe(inner, plural=True)}"
        case inspect.StructType():
            return "tables" if plural else "a table"
        case inspect.BoolType():
            return "true or false"
        case inspect.StrType():
            return "strings" if plural else "a string"
        case inspect.IntType():
            return "integers" if plural else "an integer"
        case inspect.FloatType():
            return "numbers" if plural else "a number"
        case _:
            return "values of another type" if plural else "of another type"


def describe_value(value: Any) -> str:
    """What a value of TOML is, for the end of a sentence."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return "a string"
        case int():
            return "an integer"
        case float():
            return "a number"
        case dict():
            return "a table"
        case list():
            return "a list"
        case datetime.time():
            return "a time"
        case _:
            return "a date"


def _translate(error: msgspec.ValidationError) -> Mistake:
    message, _, place = str(error).partition(" - at ")
    path: list[str | int] = []
    for name, index in re.findall(r"\.([^.\[\]`]+)|\[(\d+)\]", place):
        path.append(name or int(index))
    name = f'"{dotted(tuple(path))}": ' if path else ""
    return Mistake(tuple(path), name + (message[:1].lower() + message[1:]).replace("`", ""))
