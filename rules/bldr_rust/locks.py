"""Lock files of cargo: `Cargo.lock`."""

from collections.abc import Mapping
from typing import Any, ClassVar

from bldr.api import Locked, LockedTree, LockFile

MIRROR = "BLDR_CARGO_MIRROR"


class CargoLock:
    """Reads Cargo.lock. `BLDR_CARGO_MIRROR` is a URL below which archives stand as `NAME/NAME-VERSION.crate`.

    A lock file does not say which features of its direct dependencies the project asks for. The Cargo.toml beside it
    does, for its own package; `options` add to that: `{ serde = "derive", log = "-default std" }`.
    """

    name: ClassVar[str] = "cargo"
    file_names: ClassVar[tuple[str, ...]] = ("Cargo.lock",)
    environment: ClassVar[tuple[str, ...]] = (MIRROR,)
    version: ClassVar[int] = 1
    beside: ClassVar[tuple[str, ...]] = ("Cargo.toml",)

    def read(self, lock: LockFile) -> tuple[Locked, ...]:
        from bldr_rust.cargo_lock import read

        return read(lock)

    def builderfile(self, packages: tuple[Locked, ...], tree: LockedTree, lock: LockFile) -> Mapping[str, Any]:
        from bldr_rust.cargo_lock import builderfile

        return builderfile(packages, tree, lock)
