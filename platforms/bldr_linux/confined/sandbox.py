"""The platform that the hook registers beside the namespace sandbox."""

import errno
import os
import select
from typing import Literal

from bldr.api import GUARANTEES, LIMITS, Isolation, Launcher, Level, Probe, SetupFailure, Shortfall
from bldr_linux import causes
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
_PATIENCE_S = 30
_BOOT = "boot with Landlock among the security modules (`lsm=landlock,...`)"
_FILTERED = "use a newer container runtime, or run the container with `--security-opt seccomp=unconfined`"
_MOUNT_PROC = "mount it: `mount -t proc proc /proc`"
_ASK = "look for the reason in the kernel's log (`dmesg`)"
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
    promised = REACHED

    def __init__(self) -> None:
        self._failure: SetupFailure | None = None
        self._is_tried = False

    def probe(self) -> Probe:
        """Put the wall up for no command, and see whether it holds; the answer is kept."""
        if not self._is_tried:
            self._failure = _unsupported() or _try()
            self._is_tried = True
        if self._failure is not None:
            why, remedy = self._failure.message, self._failure.hint or _ASK
            return Probe(self.name, False, {}, tuple(Shortfall(name, why, remedy) for name in GUARANTEES))
        missing = [Shortfall(name, _WHY[name], _REMEDY) for name in GUARANTEES if name not in REACHED]
        bounded = [Shortfall(name, _WHY_LIMIT, _REMEDY) for name in LIMITS]
        return Probe(self.name, True, dict(REACHED), (*missing, *bounded))

    def open(self, root: str, *, map_caller: bool = False, outlives: bool = False) -> Launcher:  # noqa: ARG002
        """A launcher inside this process. `root` takes the scratch directories of launches that have no tree."""
        from bldr_linux.confined.launcher import ConfinedLauncher  # most builds never open one

        return ConfinedLauncher(root)


def _unsupported() -> SetupFailure | None:
    """What can be asked for without trying."""
    machine = os.uname().machine
    if machine not in MACHINES:
        known = ", ".join(MACHINES)
        return SetupFailure(f"the system call filter is not known for {machine}", f"use one of {known}")
    if not os.path.exists("/proc/self/stat"):
        return SetupFailure("there is no /proc here, and what an action leaves behind is found there", _MOUNT_PROC)
    from bldr_linux import syscalls  # there is no C library to ask on other systems

    try:
        abi = syscalls.landlock_version()
    except OSError as error:
        return _without_landlock(error.errno or 0)
    if abi < _ABI:
        return SetupFailure(f"Landlock has version {abi} here, and {_ABI} is needed", "use Linux 6.2 or newer")
    return None


def _without_landlock(number: int) -> SetupFailure:
    if number == errno.EOPNOTSUPP:
        return SetupFailure("the kernel has Landlock, and was booted without it", _BOOT)
    if causes.look().is_filtered:
        return SetupFailure("a system call filter denies Landlock, as older container runtimes do", _FILTERED)
    return SetupFailure("the kernel has no Landlock", f"use Linux 6.2 or newer; {_BOOT}")


def _try() -> SetupFailure | None:
    from bldr_linux.confined.launcher import ConfinedLauncher

    launcher = ConfinedLauncher("/")
    try:
        launcher.start_trial()
        waiting = select.poll()  # which takes any descriptor, where select(2) does not
        waiting.register(launcher.fileno(), select.POLLIN)
        waiting.poll(_PATIENCE_S * 1000)
        ends = launcher.reap()
    except OSError as error:
        return SetupFailure(f"it cannot be tried: {(error.strerror or str(error)).lower()}", _ASK)
    finally:
        launcher.close()
    if not ends:
        return SetupFailure(f"a trial did not end within {_PATIENCE_S} s", _ASK)
    return ends[0].failure or (SetupFailure("a trial failed", _ASK) if ends[0].exit_code else None)
