"""What this plugin offers: the handler of C and C++ and the toolchains "cc" and "cc-runtime"."""

from collections.abc import Iterable

from bldr.api import Handler, ToolchainDetector, hook
from bldr_cc.handler import CcHandler
from bldr_cc.toolchain import CcDetector, CcRuntimeDetector


@hook
def bldr_handlers() -> Iterable[type[Handler]]:
    return [CcHandler]


@hook
def bldr_toolchains() -> Iterable[type[ToolchainDetector]]:
    return [CcDetector, CcRuntimeDetector]
