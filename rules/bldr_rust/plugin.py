"""What this plugin offers: the handler of Rust and the toolchain "rust"."""

from collections.abc import Iterable

from bldr.api import Handler, ToolchainDetector, hook
from bldr_rust.handler import RustHandler
from bldr_rust.toolchain import RustDetector


@hook
def bldr_handlers() -> Iterable[type[Handler]]:
    return [RustHandler]


@hook
def bldr_toolchains() -> Iterable[type[ToolchainDetector]]:
    return [RustDetector]
