"""What the plain platform can give: a clean environment and an end in time, on any POSIX system."""

import os
import sys
from typing import TYPE_CHECKING, Literal

from bldr.api import GUARANTEES, LIMITS, Isolation, IsolationError, Launch, Launcher, Level, Probe, Shortfall

if TYPE_CHECKING:
    from bldr_unmounted.confinement import Scratch
    from bldr_unmounted.places import Command

REACHED: Isolation = {"env": Level.SUPERVISED, "wall-time": Level.SUPERVISED}
_WHY = "the plain sandbox isolates nothing"
_REMEDY = "use a Linux host with user namespaces"
_WHY_LIMIT = "the plain sandbox can bound single processes at most, not an action as a whole"
_WHY_NO_END = "without a /proc, processes that leave their group are not found when an action ends"
_REMEDY_NO_END = "mount it: `mount -t proc proc /proc`"
_WHY_DAEMONS = "macOS has no process namespaces: a process that leaves its session is not found when its action ends"
_WHY_NOT_SUPPORTED = "the plain sandbox needs the process groups of a POSIX system"


class PlainSandbox:
    """Runs commands as ordinary processes of the caller."""

    name = "plain"
    tree_layout: Literal["overlay", "copy"] = "copy"
    promised = REACHED

    def probe(self) -> Probe:
        if os.name != "posix":
            return Probe(self.name, False, {}, _shortfalls(GUARANTEES, _WHY_NOT_SUPPORTED))
        reached = _reached()
        missing = _shortfalls(tuple(name for name in GUARANTEES if name not in REACHED), _WHY)
        if reached != REACHED:
            found = (_WHY_DAEMONS, _REMEDY) if sys.platform == "darwin" else (_WHY_NO_END, _REMEDY_NO_END)
            missing += (Shortfall("wall-time", *found),)
        return Probe(self.name, True, reached, missing + _shortfalls(LIMITS, _WHY_LIMIT))

    def open(self, root: str, *, map_caller: bool = False, outlives: bool = False) -> Launcher:  # noqa: ARG002
        """A launcher inside this process. `root` takes the scratch directories of launches that have no tree."""
        if os.name != "posix":
            raise IsolationError(_WHY_NOT_SUPPORTED, _REMEDY)
        from bldr_unmounted.launcher import UnmountedLauncher  # its imports exist on POSIX systems only

        return UnmountedLauncher(root, Unconfined())


class Unconfined:
    """Runs every command as it is; see `Confinement`."""

    def __init__(self) -> None:
        self._reached = _reached()

    def isolation(self, launch: Launch) -> Isolation:  # noqa: ARG002
        return dict(self._reached)

    def confine(self, launch: Launch, command: "Command", program: str, scratch: "Scratch") -> tuple[str, ...]:  # noqa: ARG002
        return (program, *command.argv[1:])

    def close(self) -> None:
        """There is nothing to remove."""


def _reached() -> Isolation:
    from bldr_unmounted.process import finds_daemons  # its imports exist on POSIX systems only

    return {name: level for name, level in REACHED.items() if name != "wall-time" or finds_daemons()}


def _shortfalls(names: tuple[str, ...], why: str) -> tuple[Shortfall, ...]:
    return tuple(Shortfall(name, why, _REMEDY) for name in names)
