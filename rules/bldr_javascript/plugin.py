"""What this plugin offers: the handler of JavaScript and TypeScript, the toolchain "node" and npm's lock files."""

from collections.abc import Iterable

from bldr.api import Handler, LockFormat, ToolchainDetector, hook
from bldr_javascript.handler import JavaScriptHandler
from bldr_javascript.locks import NpmLock
from bldr_javascript.toolchain import NodeDetector


@hook
def bldr_handlers() -> Iterable[type[Handler]]:
    return [JavaScriptHandler]


@hook
def bldr_toolchains() -> Iterable[type[ToolchainDetector]]:
    return [NodeDetector]


@hook
def bldr_locks() -> Iterable[type[LockFormat]]:
    return [NpmLock]
