"""What this plugin offers: the handler of Python and the toolchain "python"."""

from collections.abc import Iterable

from bldr.api import Handler, ToolchainDetector, hook
from bldr_python.handler import PythonHandler
from bldr_python.toolchain import PythonDetector


@hook
def bldr_handlers() -> Iterable[type[Handler]]:
    return [PythonHandler]


@hook
def bldr_toolchains() -> Iterable[type[ToolchainDetector]]:
    return [PythonDetector]
