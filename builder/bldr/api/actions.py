"""What a handler makes of a target: artifacts, and the actions that produce them."""

import msgspec

from bldr.api.labels import Label

TREE_ROOT = "${BLDR_ROOT}"
"""Stands for the root of the action's tree in `Action.argv` and `Action.env`; `/build` wherever mounts are possible."""


class Artifact(msgspec.Struct, frozen=True, order=True, gc=False):
    """A file or a directory of an action's tree.

    `path` is relative to the tree's root and normal (`pkg/src/main.c`, `external/lua/lapi.c`). `owner` is the target
    whose action makes it, or None for a source that a person wrote.
    """

    path: str
    owner: Label | None = None
    is_directory: bool = False

    @property
    def is_source(self) -> bool:
        return self.owner is None


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One process to run: argv in, declared outputs out.

    `argv[0]` without a slash is looked up in the executables of `tools` and `toolchains`, in this order. `inputs` and
    `outputs` stand at their paths below the tree's root, which is the working directory; the files of `tools` stand at
    `/tools/<path>`. `files` are small texts that the engine writes into the tree beside the inputs (parameter files),
    as pairs of path and content. `depfile` is the path of an output in Makefile syntax that names the inputs that were
    really read: it narrows what causes work, never what may be read, and is not kept. `mnemonic` and `message` are
    cosmetic: they are no part of the key.
    """

    argv: tuple[str, ...]
    inputs: tuple[Artifact, ...]
    outputs: tuple[Artifact, ...]
    mnemonic: str
    message: str = ""
    env: dict[str, str] = {}
    files: tuple[tuple[str, str], ...] = ()
    tools: tuple[Artifact, ...] = ()
    toolchains: tuple[str, ...] = ()
    depfile: str = ""


class Platform(msgspec.Struct, frozen=True):
    """Where actions run: `os` is linux, macos or windows; `arch` is x86_64, aarch64, ..."""

    os: str
    arch: str

    @property
    def executable_suffix(self) -> str:
        """What ends the names of programs there: ".exe" or "". A handler adds it to the program that it declares."""
        return ".exe" if self.os == "windows" else ""
