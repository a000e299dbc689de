"""What this plugin offers: the handler of Go, the toolchain "go" and lock files of modules."""

from collections.abc import Iterable

from bldr.api import Handler, LockFormat, ToolchainDetector, hook
from bldr_go.handler import GoHandler
from bldr_go.locks import GoLock
from bldr_go.toolchain import GoDetector


@hook
def bldr_handlers() -> Iterable[type[Handler]]:
    return [GoHandler]


@hook
def bldr_toolchains() -> Iterable[type[ToolchainDetector]]:
    return [GoDetector]


@hook
def bldr_locks() -> Iterable[type[LockFormat]]:
    return [GoLock]
