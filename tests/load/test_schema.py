"""The JSON Schema for editors, held against Builderfiles by a small evaluator of the words that it uses."""

import json
import re
from pathlib import Path

import pytest
import tomli

from bldr.load.schema import json_schema

EXAMPLE = Path(__file__).parents[2] / "Builderfile.example"
SHA256 = "0" * 64
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": int | float}
WORDS = {
    "$ref", "type", "const", "enum", "pattern", "properties", "required", "additionalProperties", "items", "anyOf",
    "oneOf", "title", "description", "default", "$schema", "$defs", "minimum", "maximum",
}  # fmt: skip


def accepts(schema, value, root):
    """Whether a value is valid, for the part of JSON Schema that is needed here (2020-12, sections 7 to 10)."""
    if isinstance(schema, bool):
        return schema
    assert set(schema) <= WORDS, set(schema) - WORDS
    if "$ref" in schema and not accepts(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, root):
        return False
    if "type" in schema and not is_of(value, schema["type"]):
        return False
    if ("const" in schema and value != schema["const"]) or ("enum" in schema and value not in schema["enum"]):
        return False
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        return False
    if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return False
    if "anyOf" in schema and not any(accepts(member, value, root) for member in schema["anyOf"]):
        return False
    if "oneOf" in schema and sum(accepts(member, value, root) for member in schema["oneOf"]) != 1:
        return False
    if isinstance(value, list):
        return all(accepts(schema.get("items", True), item, root) for item in value)
    if not isinstance(value, dict):
        return True
    properties, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
    fitting = all(accepts(properties.get(key, rest), item, root) for key, item in value.items())
    return fitting and all(key in value for key in schema.get("required", ()))


def is_of(value, type):
    return isinstance(value, TYPES[type]) and not (type in ("integer", "number") and isinstance(value, bool))


VALID = [
    "",
    '[workspace]\nname = "x"\nignore = ["a"]',
    '[hermetic]\nmemory = 5\ntimeout = "5m"\nnetwork = ["a:1"]\nroot = true',
    f'[external.a]\nsha256 = "{SHA256}"\nurl = "https://a.org/x"',
    f'[external.a]\nsha256 = "{SHA256}"\npypi = "a==1"\nstrip_prefix = "a"\nbuilderfile = "b"',
    '[target.a]\ntype = "executable"\nlanguage = "c++"\nsources = ["a"]\nlinkage = "shared"\nhermetic.memory = "1G"',
    '[target.a]\ntype = "test"\nlanguage = "c"\nsize = "small"\nenv = { A = "b" }\nvisibility = "public"',
    '[target.a]\ntype = "command"\noutputs = ["a"]\ncommand = ["b"]\nvisibility = ["//a"]',
]
INVALID = [
    "x = 1",
    "[workspace]",
    '[workspace]\nname = "x"\nnmae = "y"',
    "[hermetic]\nprocesses = true",
    "[hermetic]\nmemory = [1]",
    f'[external.a]\nsha256 = "{SHA256}"',
    f'[external.a]\nsha256 = "{SHA256}"\nurl = "file:x"\npypi = "a==1"',
    '[external.a]\nsha256 = "12"\nurl = "file:x"',
    f'[external.a]\nsha256 = "{SHA256}"\nurl = "http://a.org/x"',
    '[target.a]\ntype = "executable"',
    '[target.a]\nlanguage = "c"',
    '[target.a]\ntype = "executable"\nlanguage = "rust"',
    '[target.a]\ntype = "executable"\nlanguage = "c"\nsources = "a"',
    '[target.a]\ntype = "library"\nlanguage = "c"\nsize = "small"',
    '[target.a]\ntype = "command"\noutputs = ["a"]',
    '[target.a]\ntype = "command"\nlanguage = "c"\noutputs = ["a"]\ncommand = "b"',
    '[target.a]\ntype = "test"\nlanguage = "c"\nsize = "huge"',
    '[target.a]\ntype = "test"\nlanguage = "c"\nhermetic.memroy = 1',
]


@pytest.mark.parametrize("text", VALID)
def test_what_loads_is_valid(registry, load, text):
    schema = json_schema(registry)
    assert accepts(schema, tomli.loads(text), schema)
    files = {"Builderfile": text, "a": "", "b": ""}
    load(files)


@pytest.mark.parametrize("text", INVALID)
def test_what_does_not_load_is_not_valid(registry, mistakes, text):
    schema = json_schema(registry)
    assert not accepts(schema, tomli.loads(text), schema)
    assert mistakes({"Builderfile": text, "a": "", "b": ""})


def test_the_example_is_valid_for_the_bundled_handlers():
    from bldr.plugins import Registry
    from bldr_cc.handler import CcHandler
    from bldr_command.handler import CommandHandler

    registry = Registry()
    registry.add_handlers([CcHandler, CommandHandler], "bldr", "1")
    schema = json_schema(registry)
    data = tomli.loads(EXAMPLE.read_text())
    assert accepts(schema, data, schema)
    for name, table in data["target"].items():
        broken = {**data, "target": {name: {**table, "sorces": []}}}
        assert not accepts(schema, broken, schema)


def test_it_is_json_without_null_and_the_same_every_time(registry):
    text = json.dumps(json_schema(registry))
    assert "null" not in text
    assert text == json.dumps(json_schema(registry))
    assert re.findall(r'"\$defs": \{"(\w+)"', text) == ["ConfigTable"]


def test_attributes_may_be_named_as_words_of_the_schema_are(registry):
    from types import SimpleNamespace

    from bldr.api import TargetAttributes

    class Odd(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """Has names that mean something to a schema."""

        default: str | None = None
        anyOf: bool  # noqa: N815

    registry.handlers["odd", "c#"] = SimpleNamespace(handler=SimpleNamespace(attributes=lambda _: Odd))
    schema = json_schema(registry)
    properties = schema["$defs"]["target-odd-c_23"]["properties"]
    assert properties["default"] == {"type": "string"}
    assert properties["anyOf"] == {"type": "boolean"}
    table = {"type": "odd", "language": "c#", "anyOf": True}
    assert accepts(schema, {"target": {"a": table}}, schema)
    assert not accepts(schema, {"target": {"a": {**table, "anyOf": "x"}}}, schema)
