"""What this plugin offers. The entry point in pyproject.toml names this module."""

from collections.abc import Iterable

from bldr.api import Handler, ToolchainDetector, hook

from bldr_zig.handler import ZigHandler
from bldr_zig.toolchain import ZigDetector

bldr_api = "0.1"


@hook
def bldr_handlers() -> Iterable[type[Handler]]:
    """The handlers."""
    return [ZigHandler]


@hook
def bldr_toolchains() -> Iterable[type[ToolchainDetector]]:
    """The toolchains that it can look for."""
    return [ZigDetector]
