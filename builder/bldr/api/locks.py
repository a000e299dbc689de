"""Lock files: what a package manager pinned by hash becomes one external source, with targets that a plugin writes."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import msgspec

from bldr.api.actions import Platform


class Locked(msgspec.Struct, frozen=True, kw_only=True):
    """One package that a lock file pins.

    `name` is for messages ("serde 1.0.219"). `urls` are tried in order; every one is https: or file:. `digest` is
    "sha256:<hex>", "sha384:<hex>", "sha512:<hex>", or "h1:<base64>", Go's digest of an archive's files. It stands at
    `path` in the tree of the external source: as a directory with what the archive holds below `strip_prefix`, or, with
    `unpack` False, as the file itself.
    """

    name: str
    urls: tuple[str, ...]
    digest: str
    path: str
    unpack: bool = True
    strip_prefix: str = ""


class LockFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a `LockFormat` reads: the text, and all that may decide what is taken of it.

    `env` holds the values of `LockFormat.environment` that are set, `options` is the table `external.NAME.options`.
    """

    text: str
    platform: Platform
    env: Mapping[str, str] = {}
    options: Mapping[str, str] = {}


class LockedTree(Protocol):
    """The tree of a lock file's packages once it is here, read-only."""

    def read(self, path: str) -> bytes:
        """The content of a file of the tree. Raises FileNotFoundError."""

    def names(self, directory: str = "") -> tuple[str, ...]:
        """What a directory of the tree holds, sorted; directories end with a slash."""


class LockFormat(Protocol):
    """A plugin's way to read the lock files of one package manager; registered by the hook `bldr_locks`.

    A workspace names one by `[external.NAME] lock = "Cargo.lock"`: its format is the one that has this name among its
    `file_names`, or the one that the key `format` names. Both methods are pure. `version` is raised whenever the same
    lock file would give another tree or other targets.
    """

    name: ClassVar[str]
    file_names: ClassVar[tuple[str, ...]]
    environment: ClassVar[tuple[str, ...]]
    version: ClassVar[int]

    def read(self, lock: LockFile) -> tuple[Locked, ...]:
        """The packages to fetch. Raises TargetError where this is no such lock file, or something has no hash."""

    def builderfile(self, packages: tuple[Locked, ...], tree: LockedTree, lock: LockFile) -> Mapping[str, Any]:
        """The Builderfile of the tree's root, as the tables that its TOML would be read into."""
