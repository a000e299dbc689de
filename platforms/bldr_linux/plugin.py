"""Registers the Linux sandbox where it can be loaded at all."""

import sys
from collections.abc import Iterable

from bldr.api import Command, Sandbox, hook


@hook
def bldr_sandboxes() -> Iterable[type[Sandbox]]:
    """The namespace sandbox on Linux and the weaker one beside it; nothing on other systems."""
    if sys.platform != "linux":
        return ()
    from bldr_linux.confined.sandbox import LandlockSandbox
    from bldr_linux.sandbox import LinuxSandbox

    return (LinuxSandbox, LandlockSandbox)


@hook
def bldr_commands() -> Iterable[Command]:
    """bubblewrap's command line on Linux; nothing on other systems."""
    if sys.platform != "linux":
        return ()
    from bldr_linux.bubblewrap import command

    return (
        Command(
            command.NAME, "run a command in a sandbox described as for bubblewrap", command.add_arguments, command.run
        ),
    )
