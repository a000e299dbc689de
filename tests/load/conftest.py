"""A workspace from a dictionary of files, read with two small handlers of our own."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar, Literal

import pytest

from bldr.api import Analysis, Context, FileList, LabelList, TargetAttributes, TestAttributes, WorkspaceError
from bldr.load.externals import ExternalSource
from bldr.load.workspace import Workspace, load_workspace


class NativeAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    headers: FileList = ()
    flags: tuple[str, ...] = ()
    linkage: Literal["static", "shared"] = "static"


class NativeTestAttributes(TestAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    headers: FileList = ()


class StepAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    outputs: tuple[str, ...]
    command: str | tuple[str, ...]
    tools: LabelList = ()


class NativeHandler:
    name: ClassVar[str] = "native"
    serves: ClassVar[tuple[tuple[str, str | None], ...]] = (
        ("executable", "c"),
        ("executable", "c++"),
        ("library", "c"),
        ("test", "c"),
    )
    semantics_version: ClassVar[int] = 1

    def attributes(self, type: str) -> type[TargetAttributes]:
        return NativeTestAttributes if type == "test" else NativeAttributes

    def analyze(self, attributes: TargetAttributes, context: Context) -> Analysis:
        return Analysis()


class StepHandler:
    name: ClassVar[str] = "step"
    serves: ClassVar[tuple[tuple[str, str | None], ...]] = (("command", None),)
    semantics_version: ClassVar[int] = 1

    def attributes(self, type: str) -> type[TargetAttributes]:
        return StepAttributes

    def analyze(self, attributes: TargetAttributes, context: Context) -> Analysis:
        return Analysis()


Files = Mapping[str, str | bytes]
"""Path -> content; one that begins with "-> " is a link to the rest of it. A path that ends in "/" is a directory."""


@pytest.fixture
def registry() -> SimpleNamespace:
    handlers: dict[tuple[str, str | None], SimpleNamespace] = {}
    for handler in (NativeHandler(), StepHandler()):
        for pair in handler.serves:
            handlers[pair] = SimpleNamespace(handler=handler)
    return SimpleNamespace(handlers=handlers, broken=[], locks={})


@pytest.fixture
def write(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Write files below a directory of this test's own; returns the directory."""

    def write(files: Files, below: str = "ws") -> str:
        root = tmp_path / below
        root.mkdir(exist_ok=True)
        for name, content in files.items():
            if not hasattr(os, "fork") and any(not part.isprintable() or part == "..." for part in name.split("/")):
                pytest.skip(f"POSIX alone has names such as {name!r}")
            path = root / name
            if name.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str) and content.startswith("-> "):
                request.getfixturevalue("links")
                path.symlink_to(content[3:])
            elif isinstance(content, str):
                path.write_text(content, encoding="utf-8", newline="")
            else:
                path.write_bytes(content)
        return os.fspath(root)

    return write


def no_external(source: ExternalSource) -> str:
    raise AssertionError(f"nothing asked for the external source {source.name}")


@pytest.fixture
def load(write: Callable[..., str], registry: SimpleNamespace) -> Callable[..., Workspace]:
    """Load a workspace of these files; the root's Builderfile gets its table [workspace] where it has none."""

    def load(files: Files, external: Callable[[ExternalSource], str] = no_external) -> Workspace:
        root_text = files.get("Builderfile", "")
        if isinstance(root_text, str) and "[workspace]" not in root_text:
            files = {**files, "Builderfile": root_text + '\n[workspace]\nname = "test"\n'}
        return load_workspace(write(files), registry, external=external)

    return load


@pytest.fixture
def mistakes(load: Callable[..., Workspace]) -> Callable[..., str]:
    """The text of all mistakes in a workspace of these files, as people see it."""

    def mistakes(files: Files) -> str:
        with pytest.raises(WorkspaceError) as caught:
            load(files)
        return str(caught.value)

    return mistakes
