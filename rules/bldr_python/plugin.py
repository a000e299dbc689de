"""What this plugin offers: the handler of Python, the toolchain "python", and pylock.toml."""

from collections.abc import Iterable

from bldr.api import Handler, LockFormat, ToolchainDetector, hook
from bldr_python.handler import PythonHandler
from bldr_python.locks import PylockFormat
from bldr_python.toolchain import PythonDetector


@hook
def bldr_handlers() -> Iterable[type[Handler]]:
    return [PythonHandler]


@hook
def bldr_toolchains() -> Iterable[type[ToolchainDetector]]:
    return [PythonDetector]


@hook
def bldr_locks() -> Iterable[type[LockFormat]]:
    return [PylockFormat]
