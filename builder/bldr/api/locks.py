"""Lock files: what a package manager pinned by hash becomes one external source, with targets that a plugin writes."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import msgspec

from bldr.api.actions import Platform
from bldr.api.errors import TargetError


class LockError(TargetError):
    """A lock file is none, or pins something by no hash. `line` counts from 1; 0 where it is not known."""

    def __init__(self, message: str, hint: str = "", *, line: int = 0) -> None:
        super().__init__(message, hint)
        self.line = line


class Locked(msgspec.Struct, frozen=True, kw_only=True):
    """One package that a lock file pins.

    `name` is for messages ("serde 1.0.219"). `urls` are tried in order; every one is https: or file: (a relative path
    is one below the workspace's root). `digest` is "sha256:<hex>", "sha384:<hex>", "sha512:<hex>", or "h1:<base64>",
    Go's digest of the files in a zip (of what is no zip: as if it were the only file, go.mod). It pins no execute bits,
    which are left out, and no zip that is to be kept as it is, which is refused. The package stands at `path` in the
    tree of the external source: as a directory with what the archive holds below `strip_prefix` ("*": below the one
    directory at its top, whatever that is called), or, with `unpack` False, as the file itself. A path may lie inside
    another package's directory ("node_modules/a/node_modules/b"), where it hides what that one holds.

    `pypi` ("name==version") says that the file with this digest is one of this release in an index of Python packages:
    the one that pip is configured for is asked before `urls`, which may then be none.
    """

    name: str
    urls: tuple[str, ...]
    digest: str
    path: str
    unpack: bool = True
    strip_prefix: str = ""
    pypi: str = ""


class LockFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a `LockFormat` reads: the text, and all that may decide what is taken of it.

    `path` is where it lies in the workspace, for messages. `platform` is the machine that builds. `env` holds the
    values of `LockFormat.environment` that are set, `options` is the table `external.NAME.options`, `beside` the texts
    of those of `LockFormat.beside` that are there.
    """

    text: str
    platform: Platform
    env: Mapping[str, str] = {}
    options: Mapping[str, str] = {}
    path: str = ""
    beside: Mapping[str, str] = {}


class LockedTree(Protocol):
    """The tree of a lock file's packages once it is here, read-only."""

    def read(self, path: str) -> bytes:
        """The content of a file of the tree. Raises FileNotFoundError."""

    def names(self, directory: str = "") -> tuple[str, ...]:
        """What a directory of the tree holds, sorted; directories end with a slash. Raises FileNotFoundError."""


class LockFormat(Protocol):
    """A plugin's way to read the lock files of one package manager; registered by the hook `bldr_locks`.

    A workspace names one by `[external.NAME] lock = "Cargo.lock"`: its format is the one that has this name among its
    `file_names`, or the one that the key `format` names. Both methods are pure. `version` is raised whenever the same
    lock file would give another tree or other targets. `environment` names variables that say where packages come from
    (mirrors, proxies of a registry), never which; `beside` names files in the lock file's directory that are read with
    it ("go.mod").
    """

    name: ClassVar[str]
    file_names: ClassVar[tuple[str, ...]]
    environment: ClassVar[tuple[str, ...]]
    version: ClassVar[int]
    beside: ClassVar[tuple[str, ...]]

    def read(self, lock: LockFile) -> tuple[Locked, ...]:
        """The packages to fetch. Raises LockError where this is no such lock file, or something has no hash."""

    def builderfile(self, packages: tuple[Locked, ...], tree: LockedTree, lock: LockFile) -> Mapping[str, Any]:
        """The Builderfile of the tree's root, as the tables that its TOML would be read into.

        Kept under the lock file's content, and so asked once: `packages` come without their `urls` and `lock` without
        its `env`, which decide nothing here. File names are relative to the tree's root, patterns work as everywhere.
        """
