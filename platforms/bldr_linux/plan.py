"""The form of what `compile` makes and the launcher applies: plain data that `marshal` carries.

An operation is a tuple of its name and its arguments; `apply` has one function for each name:

    ("dir", path)                                a directory of the sandbox's own
    ("bind", path, source, "ro" | "rw")          a host file or directory, with all that is mounted below it
    ("device", path, source, major, minor)       a device node of the host, refused when it is not that device
    ("mask", path, source, major, minor)         the same over an entry of /proc; one that does not exist is passed by
    ("node", path, source, kind, major, minor)   a device that the spec names, "character" or "block"; the same
    ("tmpfs", path, size_bytes, inodes, mode)    empty memory
    ("overlay", path, lower, upper, work)        the action's tree
    ("try-overlay", path)                        an overlay of empty directories in the sandbox's own memory
    ("link", path, target)                       a symbolic link
    ("file", path, content, mode)                a small read-only file
    ("cover", path, content, mode)               the same inside something that is mounted
    ("proc", path)  ("pts", path)  ("sysfs", path)   fresh instances
    ("bind-sysfs", path, source)                 the host's /sys, read-only
    ("hide", path)                               an empty directory over one of the kernel's, if there is one
    ("point", path, of)                          an empty directory for an operation `of` that comes later
    ("seal", "/")                                the root itself becomes read-only; nothing follows
    ("freeze", "/")                              its file system does, too, for whoever mounts it; nothing follows

Destinations are absolute paths in the sandbox. A source is an absolute host path, or one relative to the launcher's
root where the launcher could not reach the absolute one.
"""

from typing import Any, TypedDict

Operation = tuple[Any, ...]


class Plan(TypedDict):
    """One launch.

    `limits` are (RLIMIT number, soft, hard) with -1 for unlimited. `control` is what the control group enforces, by the
    names of `cgroups.group`. `bounds` are the limits that are watched, by the names of `bldr.api.LIMITS`; `measured`
    are the host directories whose content counts against "output" and "disk". `into` is the file that standard output
    goes to, "" for the descriptor that comes with the launch. `waits`: pid 1 waits with its network
    until it is told to go on. `landlock` are the paths that may be written, for `landlock.restrict`. `outlives`: the
    launch goes on when the engine has gone.
    """

    own_network: bool
    waits: bool
    uid: int
    gid: int
    hostname: str
    umask: int
    operations: tuple[Operation, ...]
    limits: tuple[tuple[int, int, int], ...]
    control: dict[str, float]
    bounds: dict[str, float]
    measured: tuple[str, ...]
    grace_s: float
    on_violation: str
    filters: tuple[bytes, ...]
    landlock: tuple[tuple[str, str], ...]
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    into: str
    as_pid_1: bool
    announce: bool
    outlives: bool


class Base(TypedDict):
    """What a cell keeps for launches that are alike; their plans hold only the operations that are theirs alone.

    `kept` are done once, `fresh` for every launch in a copy of what they made. `queues` is where the message queues of
    a launch are mounted, a place that something of `fresh` hides afterwards, or "" for nowhere. `landlock` are the
    places of `fresh`; `control` is as in `Plan`.
    """

    uid: int
    gid: int
    hostname: str
    kept: tuple[Operation, ...]
    fresh: tuple[Operation, ...]
    queues: str
    landlock: tuple[tuple[str, str], ...]
    control: dict[str, float]
    on_violation: str
