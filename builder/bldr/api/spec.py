"""The specification of one sandboxed action: the five sets I O T N E, limits and policies, as frozen values.

`bldr.hermetic` builds, checks and composes specs; platform plugins compile them. Paths are absolute and normal.
"""

from typing import Literal

import msgspec


class Input(msgspec.Struct, frozen=True, order=True):
    """I: a file or directory that the action may read at `path`; on the host it is `source` ("" where the same)."""

    path: str
    source: str = ""


class Output(msgspec.Struct, frozen=True, order=True):
    """O: a file or directory that the action may create or change at `path`; `source` as for `Input`.

    `is_directory` says what is made where nothing stands yet; what stands already is taken as it is.
    """

    path: str
    source: str = ""
    is_directory: bool = False


class Temp(msgspec.Struct, frozen=True, order=True):
    """T: an empty, private, bounded scratch directory that is gone after the run."""

    path: str
    size_bytes: int = 0  # 0: the platform's default bound


class Link(msgspec.Struct, frozen=True, order=True):
    """A symbolic link that stands in the sandbox."""

    path: str
    target: str


class MadeFile(msgspec.Struct, frozen=True, order=True):
    """A small read-only file that exists only in the sandbox (`/etc/passwd`)."""

    path: str
    content: bytes
    mode: int = 0o444


class ResourceLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Upper bounds of one action's use; None is unlimited. `required` names those that somebody set on purpose.

    A process that meets `open_files`, `temp_bytes` or `temp_inodes` gets an error from the kernel, and reaching
    `memory_high_bytes`, `cpus`, `cpu_weight` or `io_bytes_per_s` slows the action down; every other limit ends it with
    a verdict. The names in `required` are those of `LIMITS`.
    """

    memory_bytes: int | None = None  # of all processes together, swap included
    memory_high_bytes: int | None = None  # above it the kernel takes memory back and slows the action down
    cpu_time_s: float | None = None  # of all processes together
    cpus: float | None = None  # processors' worth of time at any moment: 1.5 is one and a half
    cpu_weight: int | None = None  # 1 to 10000 against its neighbours, who have 100
    wall_time_s: float | None = None
    grace_s: float = 2.0  # between the polite signal and the kill
    processes: int | None = None  # at one time, threads included
    open_files: int | None = None  # of one process
    file_bytes: int | None = None  # the size of one file
    output_bytes: int | None = None  # the sizes of all files in the tree and in outputs
    disk_bytes: int | None = None  # what the tree and outputs occupy; of a temporary directory its size
    log_bytes: int | None = None  # standard output and error, where they are files
    temp_bytes: int | None = None  # of one temporary directory that says no size itself
    temp_inodes: int | None = None  # of one temporary directory
    io_bytes_per_s: int | None = None  # read and written, each, on every disk
    required: frozenset[str] = frozenset()

    def by_name(self) -> dict[str, float]:
        """The limits that are set, by their names in `LIMITS`, and "wall-time"."""
        values = {
            "memory": self.memory_bytes,
            "cpu": self.cpu_time_s,
            "wall-time": self.wall_time_s,
            "processes": self.processes,
            "output": self.output_bytes,
            "disk": self.disk_bytes,
            "file-size": self.file_bytes,
            "log": self.log_bytes,
            "memory-high": self.memory_high_bytes,
            "cpu-share": self.cpu_weight if self.cpus is None else self.cpus,
            "io": self.io_bytes_per_s,
        }
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def hermetic(cls) -> "ResourceLimits":
        """The defaults of a hermetic action: 4 GiB of memory, one hour of CPU time, 128 processes."""
        return cls(memory_bytes=4 << 30, cpu_time_s=3600.0, processes=128)


class Bridge(msgspec.Struct, frozen=True, order=True):
    """A network of sandboxes on this machine, joined by a bridge of the host's; making one takes privileges.

    Every sandbox on the bridge `name` gets an address of `subnet` (another one where that is taken). With `nat` they
    reach what the host reaches.
    """

    name: str = "bldr0"
    subnet: str = "10.213.0.0/16"
    nat: bool = True


class NetworkPolicy(msgspec.Struct, frozen=True):
    """N: the hosts ("host:port") that may be reached; empty: loopback only.

    `host` is the machine's own network, `bridge` one that sandboxes share.
    """

    hosts: tuple[str, ...] = ()
    host: bool = False
    bridge: Bridge | None = None

    @classmethod
    def hermetic(cls) -> "NetworkPolicy":
        """No network but a loopback of the action's own."""
        return cls()

    @classmethod
    def allow_hosts(cls, hosts: list[str]) -> "NetworkPolicy":
        """Only these "host:port" pairs; an empty list is no network at all."""
        return cls(tuple(sorted(set(hosts))))


class ProcessPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Who the action is and what it may do to processes.

    `uid` and `gid` are what the action sees. `map_caller`: on the host it is the calling user even where that is root
    (embedders that write to their own directories); otherwise a root caller is mapped to an unprivileged user.
    `max_children`: processes besides the command itself. `kill_on_parent_exit`: all ends with the process that launched
    it. `on_violation`: a forbidden system call fails with an error ("deny"), or ends the action with a verdict that
    names it ("kill"). `as_pid_1`: the command is the first process of its sandbox itself and has that one's duties; by
    default something else is, which reaps and forwards signals.
    """

    max_children: int | None = None
    kill_on_parent_exit: bool = True
    uid: int = 1000
    gid: int = 1000
    user: str = "builder"
    hostname: str = "bldr"
    umask: int = 0o022
    map_caller: bool = False
    on_violation: Literal["deny", "kill"] = "deny"
    as_pid_1: bool = False

    @classmethod
    def hermetic(cls) -> "ProcessPolicy":
        """At most 128 children, all ended with the parent."""
        return cls(max_children=128)


class SandboxSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The whole permission of one action. Build it with `bldr.hermetic.SandboxSpecBuilder`, which checks it.

    `devices` are device nodes of the host's by name; `sysfs` shows /sys, read-only. `filters` are seccomp programs of
    the caller's own (arrays of `struct sock_filter`), installed after the platform's.
    """

    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    temps: tuple[Temp, ...] = ()
    network: NetworkPolicy = NetworkPolicy()
    env: tuple[tuple[str, str], ...] = ()
    links: tuple[Link, ...] = ()
    files: tuple[MadeFile, ...] = ()
    devices: tuple[str, ...] = ()
    sysfs: bool = False
    filters: tuple[bytes, ...] = ()
    resources: ResourceLimits = ResourceLimits()
    process: ProcessPolicy = ProcessPolicy()
