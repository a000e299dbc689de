"""Toolchains: what a plugin found on this machine, and what of it an action may see."""

from collections.abc import Mapping
from typing import Protocol

import msgspec


class Toolchain(msgspec.Struct, frozen=True, kw_only=True):
    """A set of host programs with all that they load and run.

    `executables` maps a command name to the absolute, resolved host path; they appear to actions as
    `/toolchain/<name>/bin/<command>`. `files` are single host files (absolute, resolved paths): programs, the loader,
    shared libraries; the engine stages immutable copies at the same paths. `links` are pairs of path and target that
    programs expect besides (`/usr/bin/as` -> `x86_64-linux-gnu-as`). `roots` are host directories that are shown
    read-only in place because they are too large to copy. `identity` is a digest of content only: of every file
    above and of everything below the roots. `attributes` is what handlers may ask ("compiler": "gcc").
    `sentinels` are the paths (files and directories) whose unchanged stat proves that the detection still holds.

    A toolchain that a workspace pins comes out of an archive instead, and needs nothing of this machine: `trees` are
    pairs of a place in the sandbox (`/toolchain/<name>/tree`) and the directory of the cache that is shown there,
    `executables` lie below such a place, and `arguments` stand between a command and its own arguments (`cc` is the
    program `zig` with `("cc",)`).
    """

    name: str
    executables: dict[str, str]
    files: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    roots: tuple[str, ...] = ()
    env: dict[str, str] = {}
    attributes: dict[str, str] = {}
    identity: str = ""
    sentinels: tuple[str, ...] = ()
    trees: tuple[tuple[str, str], ...] = ()
    arguments: dict[str, tuple[str, ...]] = {}


class ToolchainDetector(Protocol):
    """A plugin's way to find one toolchain; registered by the hook `bldr_toolchains`."""

    name: str

    def detect(self, env: Mapping[str, str]) -> Toolchain:
        """Look at the machine. `env` is the environment of bldr itself (PATH, CC).

        Raises ToolchainError where there is none. The engine memoises the answer under the stat of `sentinels`, the
        values of `environment` and the plugin's version.
        """

    @property
    def environment(self) -> tuple[str, ...]:
        """Names of the variables that `detect` looks at."""
