"""What this plugin offers: the handler of Java, the toolchain "java" and the lock files of Maven artifacts."""

from collections.abc import Iterable

from bldr.api import Handler, LockFormat, ToolchainDetector, hook
from bldr_java.handler import JavaHandler
from bldr_java.locks import MavenLock
from bldr_java.toolchain import JavaDetector


@hook
def bldr_handlers() -> Iterable[type[Handler]]:
    return [JavaHandler]


@hook
def bldr_toolchains() -> Iterable[type[ToolchainDetector]]:
    return [JavaDetector]


@hook
def bldr_locks() -> Iterable[type[LockFormat]]:
    return [MavenLock]
