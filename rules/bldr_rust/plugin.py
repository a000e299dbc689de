"""What this plugin offers: the handler of Rust, the toolchain "rust" and lock files of cargo."""

from collections.abc import Iterable

from bldr.api import Handler, LockFormat, ToolchainDetector, hook
from bldr_rust.handler import RustHandler
from bldr_rust.locks import CargoLock
from bldr_rust.toolchain import RustDetector


@hook
def bldr_handlers() -> Iterable[type[Handler]]:
    return [RustHandler]


@hook
def bldr_toolchains() -> Iterable[type[ToolchainDetector]]:
    return [RustDetector]


@hook
def bldr_locks() -> Iterable[type[LockFormat]]:
    return [CargoLock]
