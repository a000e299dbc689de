"""Lock files of npm: `package-lock.json`."""

from collections.abc import Mapping
from typing import Any, ClassVar

from bldr.api import Locked, LockedTree, LockFile

REGISTRY = "npm_config_registry"


class NpmLock:
    """Reads `package-lock.json`: `@NAME//:left-pad` is a library with all that it depends on.

    Packages come from the registry that the file names, or from the one in npm_config_registry in place of the public
    one. Scripts of packages are never run.
    """

    name: ClassVar[str] = "npm"
    file_names: ClassVar[tuple[str, ...]] = ("package-lock.json",)
    environment: ClassVar[tuple[str, ...]] = (REGISTRY,)
    version: ClassVar[int] = 1
    beside: ClassVar[tuple[str, ...]] = ()

    def read(self, lock: LockFile) -> tuple[Locked, ...]:
        from bldr_javascript.npm import read

        return read(lock)

    def builderfile(self, packages: tuple[Locked, ...], tree: LockedTree, lock: LockFile) -> Mapping[str, Any]:
        from bldr_javascript.npm import builderfile

        return builderfile(packages, tree, lock)
