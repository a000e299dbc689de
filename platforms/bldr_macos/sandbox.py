"""The platform that the hook registers."""

import os
import sys
from typing import TYPE_CHECKING, Literal

from bldr.api import GUARANTEES, Isolation, IsolationError, Launcher, Level, Probe, Shortfall

if TYPE_CHECKING:
    from bldr_macos.host import Host

REACHED: Isolation = {
    "fs-read": Level.KERNEL,
    "fs-write": Level.KERNEL,
    "network": Level.KERNEL,
    "env": Level.SUPERVISED,
    "devices": Level.KERNEL,
    "privileges": Level.KERNEL,
}
LIMITS_REACHED: Isolation = {"file-size": Level.KERNEL}
PROGRAM = "/usr/bin/sandbox-exec"
_REMEDY = "use a sandbox of this system: `bldr doctor` lists them all"


class MacosSandbox:
    """Seatbelt profiles and supervised processes for every action; see `bldr.api.Sandbox`.

    `program` enforces the profiles, `system` is what `sys.platform` says of the machine. With `loopback`, actions may
    use the machine's loopback, which is theirs alone nowhere on macOS.
    """

    name = "macos"
    tree_layout: Literal["overlay", "copy"] = "copy"
    promised: Isolation = REACHED | LIMITS_REACHED
    """The most that a Mac gives: to an ordinary user. Every build reads it, so that nothing is imported for it."""

    def __init__(
        self,
        program: str = PROGRAM,
        system: str = sys.platform,
        *,
        host: "Host | None" = None,
        loopback: bool = False,
    ) -> None:
        self._program = program
        self._is_here = system == "darwin" or program != PROGRAM
        self._system = system
        self._host = host
        self._loopback = loopback
        self._probed: Probe | None = None

    def probe(self) -> Probe:
        """Start small programs under profiles; the answer is kept."""
        if self._probed is None:
            self._probed = self._try()
        return self._probed

    def open(self, root: str, *, map_caller: bool = False, outlives: bool = False) -> Launcher:  # noqa: ARG002
        """A launcher inside this process, with its profiles and the scratch directories of launches without a tree
        below `root`."""
        if not self._is_here or os.name != "posix":
            raise IsolationError(self._why_not_here(), _REMEDY)
        # Their imports exist on POSIX systems only, and most builds open no launcher.
        from bldr_macos.confinement import Seatbelt, make_directory
        from bldr_macos.host import RealHost, is_case_insensitive
        from bldr_macos.monitor import TreeSampling
        from bldr_macos.permission import Permissions
        from bldr_unmounted.launcher import UnmountedLauncher

        directory = make_directory(root)
        permissions = Permissions(
            self._host or RealHost(),
            root,
            directory,
            loopback=self._loopback,
            case_insensitive=is_case_insensitive(directory),
        )
        seatbelt = Seatbelt(self._program, permissions, directory, is_root=_is_root(), loopback=self._loopback)
        return UnmountedLauncher(root, seatbelt, TreeSampling())

    def _try(self) -> Probe:
        if not self._is_here:
            return Probe(self.name, False, {}, _all_missing(self._why_not_here(), _REMEDY), foreign=True)
        from bldr_macos import guarantees
        from bldr_macos.host import RealHost
        from bldr_macos.probe import try_seatbelt

        refusal = try_seatbelt(self._program, self._host or RealHost())
        if refusal is not None:
            return Probe(self.name, False, {}, _all_missing(*refusal))
        isolation, shortfalls = guarantees.promised(is_root=_is_root(), loopback=self._loopback)
        return Probe(self.name, True, isolation, shortfalls)

    def _why_not_here(self) -> str:
        return f"Seatbelt is a part of macOS, and this is {self._system}"


def _all_missing(why: str, remedy: str) -> tuple[Shortfall, ...]:
    return tuple(Shortfall(name, why, remedy) for name in GUARANTEES)


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
