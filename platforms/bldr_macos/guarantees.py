"""What Seatbelt and the processes around it give, and why nothing else: pure."""

from bldr.api import GUARANTEES, LIMITS, Isolation, SandboxSpec, Shortfall
from bldr_macos.sandbox import LIMITS_REACHED, REACHED

_LINUX = "build on Linux where this is needed"
_WHY = {
    "paths": "macOS mounts nothing for one process, so that the tree stands at a path of the host's",
    "pids": "macOS has no process namespaces: an action sees the host's processes",
    "ipc": "the names of POSIX shared memory and semaphores are the whole user's",
    "hostname": "the host's name is the action's too",
    "users": "an action runs as the caller",
    "wall-time": "an action is ended in time, with all that is in its session or descends from it; what leaves both "
    "may outlive it",
    "syscalls": "Seatbelt decides on files, services and sockets, not on system calls",
}
_ROOT = Shortfall("privileges", "bldr runs as root, and what it starts does too", "run bldr as an ordinary user")
_LOOPBACK = Shortfall("network", "the loopback is the machine's own", "use the sandbox without it")
_LOOKED_AT = (
    "what is in an action's session or descends from it is counted and ended; a process that leaves both is not"
)
_WHY_LIMIT = {
    **dict.fromkeys(("memory", "cpu", "processes"), _LOOKED_AT),
    "output": "what an action writes is looked at when it has ended",
    "disk": "what an action writes is looked at when it has ended",
    "log": "what an action prints is looked at when it has ended",
    "memory-high": "macOS has no control groups, which slow down who uses much",
    "cpu-share": "macOS has no control groups, which share processors out",
    "io": "macOS has no control groups, which slow down who reads and writes much",
}


def promised(*, is_root: bool, loopback: bool) -> tuple[Isolation, tuple[Shortfall, ...]]:
    """What the probe says where everything that it tried worked."""
    isolation = dict(REACHED)
    missing = {name: Shortfall(name, why, _LINUX) for name, why in (_WHY | _WHY_LIMIT).items()}
    if is_root:
        missing["privileges"] = _ROOT
    if loopback:
        missing["network"] = _LOOPBACK
    for name in missing:
        isolation.pop(name, None)
    return isolation | LIMITS_REACHED, tuple(missing[name] for name in (*GUARANTEES, *LIMITS) if name in missing)


def reached(spec: SandboxSpec, *, is_root: bool, loopback: bool) -> Isolation:
    """What one launch gets; of limits those that are set."""
    isolation, _ = promised(is_root=is_root, loopback=loopback)
    if spec.network.host or spec.network.hosts:
        isolation.pop("network", None)
    if spec.devices:
        isolation.pop("devices", None)
    bounds = spec.resources.by_name()
    bounds |= {"file-size": 0} if spec.resources.file_bytes or spec.resources.disk_bytes else {}
    return {name: level for name, level in isolation.items() if name not in LIMITS or name in bounds}
