"""Which attributes the targets of a type and language have, as the installed handlers say; and a schema for editors."""

import re
from collections.abc import Mapping, Sequence
from inspect import cleandoc
from typing import Any, Protocol

import msgspec
from msgspec import inspect

from bldr.api.attributes import HermeticSettings, TargetAttributes
from bldr.api.errors import PluginError
from bldr.api.handlers import Handler
from bldr.guard import described
from bldr.load.configurations import ConfigTable
from bldr.load.externals import ExternalTable
from bldr.load.locks import LockEntry
from bldr.load.pinned import ToolchainTable
from bldr.load.suggest import suggest
from bldr.load.validate import Mistake, quote, struct_info

HandlerKey = tuple[str, str | None]


class _Entry(Protocol):
    @property
    def handler(self) -> Handler: ...


class _Broken(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def reason(self) -> str: ...


class Handlers(Protocol):
    """What of the plugin registry is needed to read Builderfiles."""

    @property
    def locks(self) -> Mapping[str, LockEntry]: ...

    @property
    def handlers(self) -> Mapping[HandlerKey, _Entry]: ...

    @property
    def broken(self) -> Sequence[_Broken]: ...


class WorkspaceTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `workspace`, which makes a directory a workspace. `ignore` names directories to keep out of."""

    name: str
    ignore: tuple[str, ...] = ()


class TargetLayout(msgspec.Struct, frozen=True):
    """How targets of one type and language are read: `files` and `labels` are the attributes that name others."""

    key: HandlerKey
    struct: type[TargetAttributes]
    info: inspect.StructType
    files: tuple[str, ...]
    labels: tuple[str, ...]


class Schemas:
    """The layouts of all that the installed handlers serve; each is made when it is first asked for."""

    def __init__(self, registry: Handlers) -> None:
        self._handlers = registry.handlers
        self._broken = registry.broken
        self._layouts: dict[HandlerKey, TargetLayout] = {}
        self.bare = make_layout(("", None), TargetAttributes)
        """How a target is read whose type nobody knows: by what all targets may say."""

    def layout(self, type: str, language: str | None) -> TargetLayout | None:
        key = (type, language)
        layout = self._layouts.get(key)
        if layout is None and key in self._handlers:
            layout = self._layouts[key] = self._layout_of(key, self._handlers[key])
        return layout

    def _layout_of(self, key: HandlerKey, entry: _Entry) -> TargetLayout:
        """Asks a stranger's code. Raises PluginError where its attributes cannot be read, or redefine those of all."""
        try:
            layout = make_layout(key, entry.handler.attributes(key[0]))
        except Exception as error:
            raise PluginError(
                f'{entry}: its attributes of type "{key[0]}" cannot be read from TOML: {described(error)}',
                "the types of attributes are those that msgspec can convert; report it to the handler's authors",
            ) from error
        own = {field.name: field.type for field in layout.info.fields}
        for field in self.bare.info.fields:
            if own.get(field.name) != field.type:
                what = f'its attributes of type "{key[0]}" give "{field.name}", which all targets have, another type'
                raise PluginError(
                    f"{entry}: {what}",
                    "report it to the handler's authors: the attribute needs another name",
                )
        return layout

    def languages(self) -> set[str]:
        """All that handlers build."""
        return {language for _, language in self._handlers if language is not None}

    def explain_unknown(self, name: str, table: dict[str, Any]) -> Mistake:
        """Why no handler serves a target's table. Its type and language, where given, are texts."""
        type, language = table.get("type"), table.get("language")
        types = sorted({type for type, _ in self._handlers})
        all_types = f"the types are: {quote(types)}"
        if type is None:
            dotted = [key for key, value in table.items() if isinstance(value, dict) and "type" in value]
            hint = f'a name with a dot is written in quotes: [target."{name}.{dotted[0]}"]' if dotted else all_types
            return Mistake((), '"type" is missing', hint, at_key=True)
        if type not in types:
            return Mistake(("type",), f'unknown type "{type}"', suggest(type, types) or self._missed(all_types, type))
        languages = sorted(name for served, name in self._handlers if served == type and name is not None)
        if language is not None and not languages:
            hint = self._missed(f"remove it, or choose another type: {quote(types)}", language)
            return Mistake(("language",), f'type "{type}" takes no language', hint, at_key=True)
        all_languages = f"the installed handlers build it in: {quote(languages)}"
        if language is None:
            return Mistake((), f'"language" is missing, which type "{type}" needs', all_languages, at_key=True)
        hint = suggest(language, languages) or self._missed(all_languages, language)
        return Mistake(("language",), f'no handler builds type "{type}" in language "{language}"', hint)

    def _missed(self, hint: str, served: str | None) -> str:
        """A hint, or the plugins that could not be loaded: what is missed may be theirs.

        Which it is nobody can ask; one that is called as the language or type is meant to serve it.
        """
        broken = [plugin for plugin in self._broken if plugin.name == served]
        if broken:
            return f"the plugin that serves {served} could not be loaded: {broken[0].reason}"
        return "; ".join(f'the plugin "{one.name}" could not be loaded: {one.reason}' for one in self._broken) or hint


def make_layout(key: HandlerKey, struct: type[TargetAttributes]) -> TargetLayout:
    info = struct_info(struct)
    kinds: dict[str, list[str]] = {"files": [], "labels": []}
    for field in info.fields:
        kind = _kind(field.type)
        if kind in kinds:
            kinds[kind].append(field.name)
    return TargetLayout(key, struct, info, tuple(kinds["files"]), tuple(kinds["labels"]))


def _kind(info: inspect.Type) -> str:
    """What `FileList` and `LabelList` say of an attribute, also where it is optional."""
    if isinstance(info, inspect.Metadata):
        return str((info.extra or {}).get("bldr", "")) or _kind(info.type)
    if isinstance(info, inspect.UnionType):
        return next((kind for member in info.types if (kind := _kind(member))), "")
    return ""


def json_schema(registry: Handlers) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a Builderfile, as the installed handlers have it.

    It knows keys, types and fixed words; that names exist and that sizes are sizes, only loading tells.
    """
    pairs = sorted(registry.handlers, key=lambda key: (key[0], key[1] or ""))
    structs = [registry.handlers[key].handler.attributes(key[0]) for key in pairs]
    shared: list[type[msgspec.Struct]] = [
        HermeticSettings, ExternalTable, ToolchainTable, WorkspaceTable, ConfigTable,
    ]  # fmt: skip
    references, made = msgspec.json.schema_components([*shared, *structs], ref_template="#/$defs/{name}")
    definitions = {name: _as_toml(definition) for name, definition in made.items()}
    hermetic, external, toolchain, workspace, config = references[: len(shared)]
    languages = sorted({language for _, language in pairs if language is not None})
    flags = definitions[_name_in(config)]["properties"]["flags"]
    flags |= {"properties": dict.fromkeys(languages, flags["additionalProperties"]), "additionalProperties": False}
    definitions[_name_in(external)]["oneOf"] = [
        {"required": ["sha256", "url"]},
        {"required": ["sha256", "pypi"]},
        {"required": ["lock"]},
    ]
    targets = []
    for (kind, language), reference in zip(pairs, references[len(shared) :], strict=True):
        name = _UNSAFE.sub(
            lambda match: f"_{ord(match[0]):x}", f"target-{kind}-{language}" if language else f"target-{kind}"
        )
        definitions[name] = _fixed(definitions[_name_in(reference)], kind, language)
        targets.append({"$ref": f"#/$defs/{name}"})
    replaced = {_name_in(reference) for reference in references[len(shared) :]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Builderfile",
        "type": "object",
        "properties": {
            "workspace": workspace,
            "hermetic": hermetic,
            "config": {"type": "object", "additionalProperties": config},
            "external": {"type": "object", "additionalProperties": external},
            "toolchain": {"type": "object", "additionalProperties": toolchain},
            "target": {"type": "object", "additionalProperties": {"oneOf": targets} if targets else False},
        },
        "additionalProperties": False,
        "$defs": {name: definitions[name] for name in sorted(definitions) if name not in replaced},
    }


_UNSAFE = re.compile(r"[^A-Za-z0-9+-]")
"""What cannot stand in a reference as it is."""


def _name_in(reference: dict[str, Any]) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _fixed(definition: dict[str, Any], kind: str, language: str | None) -> dict[str, Any]:
    """A handler's attributes for one type and language, both of which are constants."""
    properties = {**definition["properties"], "type": {"const": kind}}
    properties.pop("language", None)
    if language is not None:
        properties["language"] = {"const": language}
    required = sorted({*definition.get("required", ()), "type", *(["language"] if language else [])})
    title = f"{kind} in {language}" if language else kind
    return {**definition, "title": title, "properties": properties, "required": required}


def _as_toml(schema: Any) -> Any:
    """A schema without null, which TOML does not have, and with descriptions that are not indented."""
    if isinstance(schema, list):
        return [_as_toml(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _as_toml(value) for key, value in schema.items() if key not in ("anyOf", "default", "properties")}
    if "properties" in schema:  # its keys are names of attributes, not words of the schema
        plain["properties"] = {name: _as_toml(value) for name, value in schema["properties"].items()}
    if "description" in plain and isinstance(plain["description"], str):
        plain["description"] = cleandoc(plain["description"])
    if "anyOf" in schema:
        members = [_as_toml(member) for member in schema["anyOf"] if member != {"type": "null"}]
        plain.update(members[0] if len(members) == 1 else {"anyOf": members})
    default = schema.get("default")
    if default is not None and not (isinstance(default, dict) and None in default.values()):
        plain["default"] = default
    return plain
