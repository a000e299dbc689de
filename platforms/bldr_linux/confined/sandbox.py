"""The platform that the hook registers beside the namespace sandbox."""

import os
from typing import Literal

from bldr.api import GUARANTEES, LIMITS, Isolation, Launcher, Level, Probe, Shortfall
from bldr_linux.seccomp import MACHINES

REACHED: Isolation = {
    "fs-read": Level.KERNEL,
    "network": Level.KERNEL,
    "env": Level.SUPERVISED,
    "devices": Level.KERNEL,
    "syscalls": Level.KERNEL,
    "privileges": Level.KERNEL,
    "wall-time": Level.SUPERVISED,
}
_ABI = 3  # truncating a file is writing to it since this version, of Linux 6.2
_REMEDY = "allow user namespaces: `bldr doctor` says how"
_WHY = {
    "fs-write": "Landlock guards the content of files, not their modes, owners and times",
    "paths": "without namespaces the tree stands at a path of the host's",
    "pids": "without namespaces an action sees the host's processes",
    "ipc": "without namespaces the host's shared memory is the action's too",
    "hostname": "without namespaces the host's name is the action's too",
    "users": "without namespaces an action runs as the caller",
}
_WHY_LIMIT = "without control groups single processes can be bounded at most, not an action as a whole"


class LandlockSandbox:
    """Landlock, a system call filter and a supervisor for every action; see `bldr.api.Sandbox`."""

    name = "landlock"
    tree_layout: Literal["overlay", "copy"] = "copy"

    def probe(self) -> Probe:
        """Ask for the versions; nothing is started."""
        why = _unsupported()
        if why:
            remedy = "use Linux 6.2 or newer with Landlock among its security modules (`lsm=landlock,...`)"
            return Probe(self.name, False, {}, tuple(Shortfall(name, why, remedy) for name in GUARANTEES))
        missing = [Shortfall(name, _WHY[name], _REMEDY) for name in GUARANTEES if name not in REACHED]
        bounded = [Shortfall(name, _WHY_LIMIT, _REMEDY) for name in LIMITS]
        return Probe(self.name, True, dict(REACHED), (*missing, *bounded))

    def open(self, root: str, *, map_caller: bool = False, outlives: bool = False) -> Launcher:  # noqa: ARG002
        """A launcher inside this process. `root` takes the scratch directories of launches that have no tree."""
        from bldr_linux.confined.launcher import ConfinedLauncher  # most builds never open one

        return ConfinedLauncher(root)


def _unsupported() -> str:
    if os.uname().machine not in MACHINES:
        return f"the system call filter is not known for {os.uname().machine}"
    from bldr_linux import syscalls  # there is no C library to ask on other systems

    abi = syscalls.landlock_abi()
    return f"Landlock has version {abi} here, and {_ABI} is needed" if abi < _ABI else ""
