"""`Builderfile.example` is a Builderfile, and shows every construct that there is."""

import os
import shutil
from pathlib import Path

import pytest
import tomli
from msgspec import inspect

from bldr.api import HermeticSettings
from bldr.load.configurations import ConfigTable
from bldr.load.externals import ExternalTable
from bldr.load.pinned import ToolchainTable
from bldr.load.schema import WorkspaceTable
from bldr.load.workspace import load_workspace
from bldr.plugins import LockEntry, Registry
from bldr_cc.handler import CcHandler
from bldr_command.handler import CommandHandler
from bldr_javascript.locks import NpmLock

EXAMPLE = Path(__file__).parents[2] / "Builderfile.example"
FILES = Path(__file__).parent / "example"


@pytest.fixture
def bundled():
    registry = Registry()
    registry.add_handlers([CcHandler, CommandHandler], "bldr", "1")
    registry.locks["npm"] = LockEntry(NpmLock(), "bldr", "1")
    return registry


@pytest.fixture
def workspace(tmp_path, bundled):
    root = shutil.copytree(FILES, tmp_path / "example")
    shutil.copyfile(EXAMPLE, root / "Builderfile")
    return load_workspace(os.fspath(root), bundled, external=lambda source: pytest.fail(f"{source.name} was asked for"))


def test_it_loads(workspace):
    assert [target.name for target in workspace.targets] == [
        "util", "hello", "version", "greeting", "hi", "util-test", "greeting-test", "checks",
    ]  # fmt: skip
    assert list(workspace.externals) == ["lua", "zlib", "npm", "ziglang"]
    assert list(workspace.toolchains) == ["zig"]
    assert workspace.targets[0].files["sources"] == ("src/util/util.c",)


def test_it_shows_every_key(bundled):
    data = tomli.loads(EXAMPLE.read_text())
    targets = data["target"].values()
    shown = {
        "workspace": set(data["workspace"]),
        "hermetic": set(data["hermetic"]).union(*(target.get("hermetic", {}) for target in targets)),
        "config": set().union(*data["config"].values()),
        "external": set().union(*data["external"].values()),
        "toolchain": set().union(*data["toolchain"].values()),
        "target": set().union(*targets),
    }
    structs = [entry.handler.attributes(type) for (type, _), entry in bundled.handlers.items()]
    known = {
        "workspace": fields(WorkspaceTable),
        "hermetic": fields(HermeticSettings),
        "config": fields(ConfigTable),
        "external": fields(ExternalTable),
        "toolchain": fields(ToolchainTable),
        "target": set().union(*(fields(struct) for struct in structs)),
    }
    assert shown == known


def fields(struct):
    return {field.encode_name for field in inspect.type_info(struct).fields}
