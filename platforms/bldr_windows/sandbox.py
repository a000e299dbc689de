"""The Windows sandbox: what is registered, on every system, and works on one."""

import sys
from typing import TYPE_CHECKING, Literal

from bldr.api import Isolation, IsolationError, Launcher, Level, Probe

if TYPE_CHECKING:
    from bldr_windows.win32 import Win32


class WindowsSandbox:
    """Runs commands in jobs, with restricted tokens of low integrity."""

    name = "windows"
    tree_layout: Literal["overlay", "copy"] = "copy"
    promised: Isolation = {
        "env": Level.SUPERVISED,
        "privileges": Level.KERNEL,
        "wall-time": Level.SUPERVISED,
        "memory": Level.KERNEL,
        "cpu": Level.SUPERVISED,
        "processes": Level.SUPERVISED,
        "cpu-share": Level.KERNEL,
    }
    """The most that a Windows gives. Every build reads it, so that nothing is imported for it."""

    def probe(self) -> Probe:
        from bldr_windows.probe import probe  # costs nothing where nobody asks

        return probe(self.name, _system())

    def open(self, root: str, *, map_caller: bool = False, outlives: bool = False) -> Launcher:  # noqa: ARG002
        """A launcher inside this process, with one thread of its own."""
        system = _system()
        found = self.probe()
        if system is None or not found.supported:
            raise IsolationError(found.shortfalls[0].why, found.shortfalls[0].remedy)
        from bldr_windows.launcher import WindowsLauncher

        return WindowsLauncher(root, system, found.isolation)


def _system() -> "Win32 | None":
    if sys.platform != "win32":
        return None
    from bldr_windows.calls import Calls

    return Calls()
