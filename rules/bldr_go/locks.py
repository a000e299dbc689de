"""Lock files of Go modules: `go.sum`."""

from collections.abc import Mapping
from typing import Any, ClassVar

from bldr.api import Locked, LockedTree, LockFile


class GoLock:
    """Reads go.sum, with the go.mod beside it. `GOPROXY` names the proxies, as for the go command.

    Of `options`, `build_tags` and `std` (the packages of the standard library to compile) are lists of words.
    """

    name: ClassVar[str] = "go"
    file_names: ClassVar[tuple[str, ...]] = ("go.sum",)
    environment: ClassVar[tuple[str, ...]] = ("GOPROXY",)
    version: ClassVar[int] = 1
    beside: ClassVar[tuple[str, ...]] = ("go.mod",)

    def read(self, lock: LockFile) -> tuple[Locked, ...]:
        from bldr_go.go_sum import read

        return read(lock)

    def builderfile(self, packages: tuple[Locked, ...], tree: LockedTree, lock: LockFile) -> Mapping[str, Any]:
        from bldr_go.go_sum import builderfile

        return builderfile(packages, tree, lock)
