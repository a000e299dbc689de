"""What this plugin offers: the handler of shell scripts and the toolchain "shellcheck"."""

from collections.abc import Iterable

from bldr.api import Handler, ToolchainDetector, hook
from bldr_shell.handler import ShellHandler
from bldr_shell.toolchain import ShellcheckDetector


@hook
def bldr_handlers() -> Iterable[type[Handler]]:
    return [ShellHandler]


@hook
def bldr_toolchains() -> Iterable[type[ToolchainDetector]]:
    return [ShellcheckDetector]
