"""What this plugin offers: the handler of commands and the toolchain "shell"."""

from collections.abc import Iterable

from bldr.api import Handler, ToolchainDetector, hook
from bldr_command.handler import CommandHandler
from bldr_command.toolchain import ShellDetector


@hook
def bldr_handlers() -> Iterable[type[Handler]]:
    return [CommandHandler]


@hook
def bldr_toolchains() -> Iterable[type[ToolchainDetector]]:
    return [ShellDetector]
