"""The hooks that a plugin may implement, by pluggy. Registration hooks return classes or values, never wrap others.

A distribution declares an entry point of group `bldr` that names a module; functions of that module marked with
`hook` and named as below are its answers.
"""

from collections.abc import Iterable

import pluggy

from bldr.api.commands import Command
from bldr.api.events import Listener
from bldr.api.handlers import Handler
from bldr.api.locks import LockFormat
from bldr.api.sandbox import Sandbox
from bldr.api.toolchains import ToolchainDetector

PROJECT = "bldr"
hook = pluggy.HookimplMarker(PROJECT)
_spec = pluggy.HookspecMarker(PROJECT)


class Hooks:
    """What the engine asks every plugin."""

    @_spec
    def bldr_handlers(self) -> Iterable[type[Handler]]:
        """The handlers of this plugin."""

    @_spec
    def bldr_sandboxes(self) -> Iterable[type[Sandbox]]:
        """The platforms of this plugin; importing it must work on every system."""

    @_spec
    def bldr_toolchains(self) -> Iterable[type[ToolchainDetector]]:
        """The toolchains that this plugin can look for."""

    @_spec
    def bldr_locks(self) -> Iterable[type[LockFormat]]:
        """The kinds of lock files that this plugin can read."""

    @_spec
    def bldr_commands(self) -> Iterable[Command]:
        """Commands to add to the command line."""

    @_spec
    def bldr_listeners(self) -> Iterable[type[Listener]]:
        """Listeners that follow every build."""
