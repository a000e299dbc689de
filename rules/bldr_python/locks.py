"""Lock files of Python: `pylock.toml`, which pins wheels by hash (PEP 751)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from bldr.api import Locked, LockedTree, LockFile


class PylockFormat:
    """Each package that is selected stands as its wheel is laid out, below its name."""

    name: ClassVar[str] = "python"
    file_names: ClassVar[tuple[str, ...]] = ("pylock.toml",)
    environment: ClassVar[tuple[str, ...]] = ()
    version: ClassVar[int] = 1
    beside: ClassVar[tuple[str, ...]] = ()

    def read(self, lock: LockFile) -> tuple[Locked, ...]:
        from bldr_python.pylock import read

        return read(lock)

    def builderfile(self, packages: tuple[Locked, ...], tree: LockedTree, lock: LockFile) -> Mapping[str, Any]:
        from bldr_python.pylock import builderfile

        return builderfile(packages, tree, lock)
