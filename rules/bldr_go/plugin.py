"""What this plugin offers: the handler of Go and the toolchain "go"."""

from collections.abc import Iterable

from bldr.api import Handler, ToolchainDetector, hook
from bldr_go.handler import GoHandler
from bldr_go.toolchain import GoDetector


@hook
def bldr_handlers() -> Iterable[type[Handler]]:
    return [GoHandler]


@hook
def bldr_toolchains() -> Iterable[type[ToolchainDetector]]:
    return [GoDetector]
