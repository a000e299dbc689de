"""Compiles a launch to a plan: pure and deterministic, so that plans can be reviewed and golden-tested anywhere."""

import math
import posixpath
from typing import NamedTuple

from bldr.api import GUARANTEES, TREE_ROOT, Isolation, Launch, Level, ResourceLimits, SandboxSpec, SetupFailure
from bldr_linux import devices
from bldr_linux.plan import Operation, Plan

_MIB = 1 << 20
_TEMP_BYTES = 1 << 30
_SHM_BYTES = 64 * _MIB
_BYTES_PER_INODE = 4096
_INODES_AT_LEAST = 1024
_LINK_DEPTH = 40
_MEMORY_AT_LEAST = 4 * _MIB
# More than any kernel has, and than control files can be told.
_PROCESSES_AT_MOST, _CPUS_AT_MOST = 4_000_000, 10_000.0
# Nobody else can enforce these.
_GROUPED = ("memory-high", "cpu-share", "io")
_INSTRUCTION_BYTES, _INSTRUCTIONS_AT_MOST = 8, 4096

# Numbers of <asm-generic/resource.h>, written down because this file runs on every system.
_RLIMIT_CPU, _RLIMIT_FSIZE, _RLIMIT_STACK, _RLIMIT_CORE, _RLIMIT_NPROC, _RLIMIT_NOFILE = 0, 1, 3, 4, 6, 7
_UNLIMITED = -1
_STACK_BYTES = 8 * _MIB
_OPEN_FILES_SOFT, _OPEN_FILES_HARD = 1024, 65536

# The nodes of /dev count as places that may be written.
NODES_OF_DEV: Operation = ("tmpfs", "/dev")
_NULL = ("/dev/null", 1, 3)
_DEVICES = (("full", 1, 7), ("null", 1, 3), ("random", 1, 8), ("tty", 5, 0), ("urandom", 1, 9), ("zero", 1, 5))
_DEVICE_LINKS = (
    ("fd", "/proc/self/fd"),
    ("ptmx", "pts/ptmx"),
    ("stderr", "/proc/self/fd/2"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
)
# What a read of /proc would tell of the machine's users; and, where actions are the host's root, of its memory.
_MASKED = ("key-users", "keys", "sched_debug")
_MASKED_FOR_ROOT = (
    "kallsyms", "kcore", "kmsg", "kpagecgroup", "kpagecount", "kpageflags", "latency_stats", "pagetypeinfo", "slabinfo",
    "sysrq-trigger", "timer_list", "vmallocinfo",
)  # fmt: skip


class Host(NamedTuple):
    """What a plan must know of the machine and of the launcher that is to apply it.

    `relative`: sources below `root` are given relative to it, because the launcher cannot traverse its parents.
    `usr_links`: links of the host's root directory that lead into /usr, as (path, target).
    `is_root`: actions may be the host's root. `limits_processes`: RLIMIT_NPROC counts per user namespace. `groups`: the
    limits that control groups enforce here, as `cgroups.tree` names them. `nodes`: what the devices of the spec are.
    """

    root: str
    relative: bool
    is_root: bool
    limits_processes: bool = True
    groups: frozenset[str] = frozenset()
    usr_links: tuple[tuple[str, str], ...] = ()
    nodes: tuple[devices.Node, ...] = ()


class RefusedError(Exception):
    """The launch asks for what this platform cannot do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.failure = SetupFailure(message, hint)


def compile_launch(launch: Launch, host: Host) -> Plan:
    """The plan of one launch. Raises RefusedError."""
    spec = launch.spec
    if spec.network.hosts:
        raise RefusedError(
            f"the network cannot be limited to hosts yet ({', '.join(spec.network.hosts)})",
            "take `network` away, or allow all of the machine's network without `--hermetic`",
        )
    _check_limits(spec)
    argv, env, cwd = command_of(launch)
    process = spec.process
    operations = _operations(launch, host)
    return Plan(
        own_network=not spec.network.host,
        waits=spec.network.bridge is not None,
        uid=process.uid,
        gid=process.gid,
        hostname=process.hostname,
        umask=process.umask,
        operations=operations,
        limits=_limits(spec, host),
        control=_control(spec, host),
        bounds=_watched(spec, host),
        measured=measured(launch, host),
        grace_s=spec.resources.grace_s,
        on_violation=process.on_violation,
        filters=_filters(spec),
        landlock=(("", "queues"), *places((NODES_OF_DEV, *operations))),
        argv=argv,
        env=env,
        cwd=cwd,
        into=launch.into,
        as_pid_1=process.as_pid_1,
        announce=launch.announce,
        outlives=not process.kill_on_parent_exit,
    )


def command_of(launch: Launch) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...], str]:
    """Arguments, environment and working directory, with the place of the tree put in."""
    tree_path = launch.tree.path if launch.tree else None

    def expand(text: str) -> str:
        return text.replace(TREE_ROOT, tree_path) if tree_path is not None else text

    env = {name: expand(value) for name, value in launch.spec.env}
    if tree_path is not None:
        env["BLDR_ROOT"] = tree_path
    argv = tuple(expand(argument) for argument in launch.argv)
    if any("\0" in text for text in (*argv, *env, *env.values())):
        raise RefusedError("an argument or a variable of the environment contains a NUL character")
    return argv, tuple(sorted(env.items())), expand(launch.cwd)


def compile_probe(host: Host) -> Plan:
    """A plan without a command that needs nothing of the host's but tries every kind of operation."""
    nothing = Launch(launch_id=0, spec=SandboxSpec(), argv=(), cwd="/", stdin=0, stdout=1, stderr=2)
    plan = compile_launch(nothing, host)
    *operations, seal = plan["operations"]
    plan["operations"] = (*operations, ("try-overlay", "/overlay"), seal)
    return plan


def reached(spec: SandboxSpec, host: Host) -> Isolation:
    """The isolation of a launch whose plan was applied: an operation that fails fails the launch, none is left out."""
    isolation = dict.fromkeys(GUARANTEES, Level.KERNEL)
    isolation["wall-time"] = Level.SUPERVISED
    if spec.network.host or spec.network.bridge is not None:
        isolation["network"] = Level.NONE
    bounds = _bounds(spec)
    levels = limit_levels(host)
    if spec.process.as_pid_1 and "memory" not in host.groups:
        levels["memory"] = Level.NONE  # there is nobody inside to count it
    return isolation | {name: level for name, level in levels.items() if name in bounds}


def limit_levels(host: Host) -> Isolation:
    """Who enforces a limit that is set: of one file "file-size", of the whole launch every other."""
    counted = "processes" in host.groups or host.limits_processes
    grouped = {name: Level.KERNEL if name in host.groups else Level.NONE for name in _GROUPED}
    return {
        **grouped,
        "memory": Level.KERNEL if "memory" in host.groups else Level.SUPERVISED,
        "cpu": Level.SUPERVISED,
        "processes": Level.KERNEL if counted else Level.NONE,
        "output": Level.SUPERVISED,
        "disk": Level.SUPERVISED,
        "file-size": Level.KERNEL,
        "log": Level.SUPERVISED,
    }


def _watched(spec: SandboxSpec, host: Host) -> dict[str, float]:
    """The limits that somebody watches, or whose verdict somebody has to find."""
    return {name: value for name, value in _bounds(spec).items() if name not in host.groups and name not in _GROUPED}


def _bounds(spec: SandboxSpec) -> dict[str, float]:
    """The limits that a spec sets, by their names, with those that follow from others."""
    derived = {"processes": _processes(spec), "file-size": _file_bytes(spec)}
    return spec.resources.by_name() | {name: value for name, value in derived.items() if value is not None}


def _processes(spec: SandboxSpec) -> int | None:
    """How many may be alive at one time: the command and its children."""
    children = spec.process.max_children
    given = [n for n in (spec.resources.processes, None if children is None else children + 1) if n is not None]
    return min(*given, _PROCESSES_AT_MOST) if given else None


def _file_bytes(spec: SandboxSpec) -> int | None:
    """No file can be larger than all of them may be together; a byte more shows that it was tried."""
    resources = spec.resources
    together = None if resources.output_bytes is None else resources.output_bytes + 1
    given = [n for n in (resources.file_bytes, together) if n is not None]
    return min(given) if given else None


def _limits(spec: SandboxSpec, host: Host) -> tuple[tuple[int, int, int], ...]:
    resources: ResourceLimits = spec.resources
    files = resources.open_files
    limits = [
        (_RLIMIT_CORE, 0, 0),
        (_RLIMIT_STACK, _STACK_BYTES, _UNLIMITED),
        (_RLIMIT_NOFILE, *((_OPEN_FILES_SOFT, _OPEN_FILES_HARD) if files is None else (files, files))),
    ]
    if resources.cpu_time_s is not None:
        soft_s = max(1, math.ceil(resources.cpu_time_s))
        limits.append((_RLIMIT_CPU, soft_s, soft_s + max(1, math.ceil(resources.grace_s))))
    file_bytes = _file_bytes(spec)
    if file_bytes is not None:
        limits.append((_RLIMIT_FSIZE, file_bytes, file_bytes))
    processes = _processes(spec)
    # Where a group counts it must be the one that refuses, because it tells that it did.
    if processes is not None and host.limits_processes and "processes" not in host.groups:
        limits.append((_RLIMIT_NPROC, processes + 1, processes + 1))  # pid 1 counts
    return tuple(sorted(limits))


def _control(spec: SandboxSpec, host: Host) -> dict[str, float]:
    """What the control group is to enforce, as far as there is one that can."""
    resources = spec.resources
    values = {
        "memory": ("memory", resources.memory_bytes),
        "memory_high": ("memory-high", resources.memory_high_bytes),
        "processes": ("processes", _processes(spec)),
        "cpus": ("cpu-share", None if resources.cpus is None else min(resources.cpus, _CPUS_AT_MOST)),
        "cpu_weight": ("cpu-share", resources.cpu_weight),
        "io": ("io", resources.io_bytes_per_s),
    }
    return {key: value for key, (name, value) in values.items() if value is not None and name in host.groups}


def _check_limits(spec: SandboxSpec) -> None:
    memory_bytes = spec.resources.memory_bytes
    if memory_bytes is not None and memory_bytes < _MEMORY_AT_LEAST:
        raise RefusedError(
            f"a memory limit of {memory_bytes} bytes is less than an empty sandbox needs", "set at least 4 MiB"
        )


def measured(launch: Launch, host: Host) -> tuple[str, ...]:
    """The host directories and files that the launch may fill."""
    paths = [output.source or output.path for output in launch.spec.outputs if not _in_tree(output.path, launch)]
    if launch.tree:
        paths.append(launch.tree.upper)
    return tuple(sorted(source_of(path, host) for path in paths))


def _in_tree(path: str, launch: Launch) -> bool:
    return launch.tree is not None and (path == launch.tree.path or path.startswith(f"{launch.tree.path}/"))


def _operations(launch: Launch, host: Host) -> tuple[Operation, ...]:
    spec = launch.spec
    links = {link.path: link.target for link in spec.links}
    if any(item.path == "/usr" and item.source in ("", "/usr") for item in spec.inputs):
        links = dict(host.usr_links) | links
    entries = _Entries(links, ("/proc", "/dev", *(("/sys",) if spec.sysfs else ())))
    for item in spec.inputs:
        entries.add("bind", item.path, source_of(item.source or item.path, host), "ro")
    for output in spec.outputs:
        if launch.tree and output.path.startswith(f"{launch.tree.path}/"):
            continue  # lands in the tree's upper layer
        entries.add("bind", output.path, source_of(output.source or output.path, host), "rw")
    for temp in spec.temps:
        entries.add("tmpfs", temp.path, *_temp_bounds(temp.size_bytes, spec.resources), 0o1777)
    if launch.tree:
        tree = launch.tree
        if tree.lower:
            entries.add("overlay", tree.path, *(source_of(path, host) for path in (tree.lower, tree.upper, tree.work)))
        else:
            entries.add("bind", tree.path, source_of(tree.upper, host), "rw")
    for path, target in links.items():
        entries.add("link", path, target)
    for file in spec.files:
        entries.add("file", file.path, file.content, file.mode)
    return (*_system(host), *_named(spec, host), *entries.ordered(), ("seal", "/"))


def _named(spec: SandboxSpec, host: Host) -> tuple[Operation, ...]:
    """What of the machine a spec asks for by name: devices, /sys."""
    given = tuple(f"/dev/{name}" for name, _, _ in _DEVICES)
    try:
        shown = devices.operations(spec.devices, host.nodes, given)
    except devices.UnfitError as unfit:
        raise RefusedError(*unfit.args) from None
    return (*shown, *(devices.sysfs(own_network=not spec.network.host) if spec.sysfs else ()))


def places(operations: tuple[Operation, ...]) -> tuple[tuple[str, str], ...]:
    """Where something may be written, each place once, for Landlock."""
    found = {
        path
        for name, path, *arguments in operations
        if name in ("tmpfs", "overlay", "try-overlay") or (name == "bind" and arguments[1] == "rw")
    }
    inner = {path for path in found for above in found if path.startswith(f"{above}/")}
    return tuple((path, "write") for path in sorted(found - inner))


def _filters(spec: SandboxSpec) -> tuple[bytes, ...]:
    """The caller's own seccomp programs; the kernel judges what they say, when it gets them."""
    for index, program in enumerate(spec.filters, 1):
        count, rest = divmod(len(program), _INSTRUCTION_BYTES)
        if rest or not 0 < count <= _INSTRUCTIONS_AT_MOST:
            raise RefusedError(
                f"the system call filter {index} is {len(program)} bytes long, and no program",
                f"give an array of 1 to {_INSTRUCTIONS_AT_MOST} `struct sock_filter`, {_INSTRUCTION_BYTES} bytes each",
            )
    return spec.filters


class _Entries:
    """Collects what the spec asks for by destination, each once, with links of the sandbox resolved in its parents."""

    def __init__(self, links: dict[str, str], reserved: tuple[str, ...]) -> None:
        self._links = links
        self._reserved = reserved
        self._by_path: dict[str, Operation] = {}

    def add(self, name: str, path: str, *arguments: str | int | bytes) -> None:
        if path == "/":
            raise RefusedError(
                "the whole file system cannot be shown to an action", "name the directories that it needs"
            )
        parent, _, last = path.rpartition("/")
        place = f"{self._resolve(parent)}/{last}"
        for reserved in self._reserved:
            if place == reserved or place.startswith(reserved + "/"):
                raise RefusedError(f'"{path}" cannot be given: {reserved} is the sandbox\'s own')
        operation = (name, place, *arguments)
        known = self._by_path.setdefault(place, operation)
        if known != operation:
            raise RefusedError(f'two things are to stand at "{path}": {_describe(known)} and {_describe(operation)}')

    def ordered(self) -> list[Operation]:
        """Parents before what is below them; files in something that is mounted are laid over it."""
        operations = sorted(self._by_path.values(), key=lambda operation: operation[1].split("/"))
        return [self._placed(operation) for operation in operations]

    def _placed(self, operation: Operation) -> Operation:
        name, path, *arguments = operation
        if name not in ("file", "link"):
            return operation
        over = self._mounted_over(path)
        if name == "file":
            return ("cover", path, *arguments) if over else operation
        if over and over[0] == "bind" and over[3] == "rw":
            raise RefusedError(f'the link "{path}" would be made in the output "{over[1]}"')
        return operation

    def _mounted_over(self, path: str) -> Operation | None:
        while path := path.rpartition("/")[0]:
            operation = self._by_path.get(path)
            if operation and operation[0] in ("bind", "tmpfs", "overlay"):
                return operation
        return None

    def _resolve(self, path: str) -> str:
        for _ in range(_LINK_DEPTH):
            for end in [i for i, c in enumerate(path + "/") if c == "/" and i > 0]:
                target = self._links.get(path[:end])
                if target is not None:
                    joined = posixpath.join(posixpath.dirname(path[:end]), target) + path[end:]
                    path = posixpath.normpath("/" + joined.lstrip("/"))
                    break
            else:
                return path
        raise RefusedError(f'the links at "{path}" lead round in circles')


_WHAT = {
    "bind": "a host path",
    "tmpfs": "a temporary directory",
    "overlay": "the tree",
    "link": "a link",
    "file": "a file",
}


def _describe(operation: Operation) -> str:
    return f"{_WHAT[operation[0]]} ({operation[2]})" if operation[0] in ("bind", "link") else _WHAT[operation[0]]


def source_of(path: str, host: Host) -> str:
    """As the launcher names it. The host's /proc is refused: it shows and reaches every process."""
    if path == "/proc" or path.startswith("/proc/"):
        raise RefusedError(f'"{path}" cannot be shown to an action: it belongs to the host\'s processes')
    if host.relative and path.startswith(host.root) and path[len(host.root) :][:1] in ("", "/"):
        return path[len(host.root) + 1 :] or "."  # both are normal; posixpath.relpath takes twenty times as long
    return path


def _temp_bounds(size_bytes: int, resources: ResourceLimits) -> tuple[int, int]:
    """(bytes, inodes) of a tmpfs; `size_bytes` is what was said of this one, 0 for nothing."""
    size_bytes = size_bytes or resources.temp_bytes or _TEMP_BYTES
    if resources.disk_bytes is not None:
        size_bytes = min(size_bytes, resources.disk_bytes)
    return size_bytes, resources.temp_inodes or max(size_bytes // _BYTES_PER_INODE, _INODES_AT_LEAST)


def _system(host: Host) -> tuple[Operation, ...]:
    """/proc and /dev. /proc comes first: overlays are mounted by the names that descriptors have in it."""
    masked = (*_MASKED, *(_MASKED_FOR_ROOT if host.is_root else ()))
    return (
        ("proc", "/proc"),
        *(("mask", f"/proc/{name}", *_NULL) for name in masked),
        ("dir", "/dev"),
        *(("device", f"/dev/{name}", f"/dev/{name}", major, minor) for name, major, minor in _DEVICES),
        *(("link", f"/dev/{name}", target) for name, target in _DEVICE_LINKS),
        ("pts", "/dev/pts"),
        ("tmpfs", "/dev/shm", *_temp_bounds(_SHM_BYTES, ResourceLimits()), 0o1777),  # noqa: S108 - a path in the sandbox
    )
