"""Programs for the cradle: what `init.run_ahead` does in Python, written down as lists of system calls. Pure.

A program is what `compiled/cradle.c` executes without understanding it: steps, each a system call with its arguments,
and the data that they point to. An argument is a number, bytes (their address is passed), a `Slot` that holds the
result of an earlier step, or a `Place` in the data. A step may forgive one error, and then pass over the steps that
depend on it.

Three programs make a sandbox: `start` once for a cradle, `ahead` for every pid 1 when it is born, and `last` when there
is a launch. Numbers are those of Linux on x86_64 and aarch64.
"""

from __future__ import annotations

import errno
import os

from bldr_linux import landlock, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bldr_linux.plan import Base, Plan

    Encoded = tuple[bytes, list[tuple[str, str]]]  # a program, and what each of its steps is for: (step, path)

_MACHINES = {
    "x86_64": {
        "write": 1, "close": 3, "chdir": 80, "umask": 95, "capset": 126, "prctl": 157, "openat": 257, "mkdirat": 258,
        "symlinkat": 266, "unshare": 272, "dup3": 292, "prlimit64": 302, "setns": 308, "seccomp": 317,
    },
    "aarch64": {
        "write": 64, "close": 57, "chdir": 49, "umask": 166, "capset": 91, "prctl": 167, "openat": 56, "mkdirat": 34,
        "symlinkat": 36, "unshare": 97, "dup3": 24, "prlimit64": 261, "setns": 268, "seccomp": 277,
    },
}  # fmt: skip
_EVERYWHERE = {
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "openat2": 437,
    "mount_setattr": 442, "landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446,
    "put": -1, "tell": -2,
}  # fmt: skip
MACHINES = tuple(_MACHINES)
MADE, LISTENER = 5, 6
"""What a step may tell the cell, with a descriptor."""
_VALUE, _DATA, _SLOT = range(3)
_ARGUMENTS = 6
BYTES_AT_MOST = 65_000
"""Of what is sent in one packet."""

_HERE, _AT_EMPTY_PATH, _AT_RECURSIVE, _BOTH_EMPTY = -100, 0x1000, 0x8000, 0x44
_CLONED = 1 | os.O_CLOEXEC | _AT_EMPTY_PATH | _AT_RECURSIVE
_SET_STRING, _CREATE = 1, 6
_IN_ROOT = 0x12  # RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS
_O_PATH = os.O_PATH | os.O_CLOEXEC
_BASE_FD, _QUEUES_FD = 4, 63
_SAFE = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV
_UNUSABLE = _SAFE | syscalls.MOUNT_ATTR_NOEXEC
_NODE = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NOEXEC | syscalls.MOUNT_ATTR_RDONLY
_OOM_SCORE = b"1000"


class Slot(int):
    """Where the result of a step is kept."""


class Place(int):
    """An offset in the data of a program."""


# The slots: the first ones also receive the descriptors that come with a program.
_ROOT, _PROC, _CONTEXT, _MOUNT, _TARGET, _SOURCE, _WALL, _QUEUES = map(Slot, range(16, 24))


class Program:
    """A program while it is written; `where` says of each step what it is for, as (step, path)."""

    def __init__(self, machine: str) -> None:
        self._numbers = _MACHINES[machine] | _EVERYWHERE
        self._steps: list[bytes] = []
        self._data = bytearray()
        self.where: list[tuple[str, str]] = []
        self.purpose = ("", "")

    def data(self, content: bytes) -> Place:
        """Put bytes into the data, where structures may begin."""
        self._data += bytes(-len(self._data) % 8)
        place = Place(len(self._data))
        self._data += content
        return place

    def add(
        self, name: str, *arguments: int | bytes, store: Slot | None = None, forgive: int = 0, skip: int = 0
    ) -> None:
        """Add a system call."""
        kinds, values = bytearray(8), bytearray()
        for index in range(_ARGUMENTS):
            argument = arguments[index] if index < len(arguments) else 0
            if isinstance(argument, bytes):
                argument = self.data(argument + b"\0")
            kinds[index] = _DATA if isinstance(argument, Place) else _SLOT if isinstance(argument, Slot) else _VALUE
            values += (argument & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little")
        head = (self._numbers[name], -1 if store is None else store, forgive, skip)
        self._steps.append(b"".join(number.to_bytes(4, "little", signed=True) for number in head) + kinds + values)
        self.where.append(self.purpose)

    def put(self, place: Place, value: int, size_bytes: int) -> None:
        """Write a result, or an address, into a structure in the data when the program runs."""
        self.add("put", place, value, size_bytes)

    def close(self, *slots: Slot) -> None:
        """Close descriptors."""
        for slot in slots:
            self.add("close", slot)

    def encode(self) -> bytes:
        """The bytes of the program."""
        self._data += bytes(-len(self._data) % 8)
        head = len(self._steps).to_bytes(8, "little") + len(self._data).to_bytes(8, "little")
        return b"".join((head, *self._steps, self._data))


def start(machine: str, namespaces: Sequence[int], last_capability: int) -> bytes:
    """Enter a cell's namespaces, whose descriptors come along; `namespaces` are their kinds, the user's first."""
    program = Program(machine)
    for index, kind in enumerate(namespaces):
        program.add("setns", Slot(index), kind)
    for capability in range(last_capability + 1):
        program.add("prctl", syscalls.PR_CAPBSET_DROP, capability)
    # Forgotten, both, when rights change.
    program.add("prctl", syscalls.PR_SET_PDEATHSIG, 9)
    program.add("prctl", syscalls.PR_SET_DUMPABLE, 0)
    return program.encode()


def write_to(machine: str, count: int, content: bytes) -> bytes:
    """Write the same to each of so many files that come along."""
    program = Program(machine)
    for index in range(count):
        program.add("write", Slot(index), content, len(content))
    return program.encode()


def enter(machine: str, kind: int) -> bytes:
    """Enter another namespace, whose descriptor comes along."""
    program = Program(machine)
    program.add("setns", Slot(0), kind)
    return program.encode()


def ahead(machine: str, base: Base, landlock_abi: int, filter_program: bytes) -> Encoded | None:
    """All that a pid 1 does before it knows its launch; None where it is more than a program can say."""
    program = Program(machine)
    program.purpose = ("id-maps", "")
    _be_a_launch(program)
    program.purpose = ("proc", "/proc")
    _new_file_system(program, "proc", {}, _UNUSABLE | syscalls.MOUNT_ATTR_RDONLY, _PROC)
    program.purpose = ("enter-root", "/")
    program.add("setns", _BASE_FD, syscalls.CLONE_NEWNS)
    program.add("unshare", syscalls.CLONE_NEWNS)
    program.add("close", _BASE_FD)
    program.add("openat", _HERE, b"/", _O_PATH | os.O_DIRECTORY, store=_ROOT)
    program.purpose = ("landlock", "")
    _keep_queues(program, base["queues"])
    mounted: list[str] = []
    for operation in base["fresh"]:
        if operation[0] not in _OPERATIONS:
            return None
        name, path, *arguments = operation
        program.purpose = (name, path)
        if name != "mask":
            _make_directories(program, path, mounted, itself=name != "link")
        _OPERATIONS[name](program, path, *arguments)
        if name not in ("link", "mask"):
            mounted.append(path)
    program.purpose = ("landlock", "")
    _begin_wall(program, base["landlock"], landlock_abi)
    program.close(_ROOT)
    program.purpose = ("enter-root", "/")
    program.add("openat", _HERE, b"/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC, store=_SOURCE)
    program.add("tell", MADE, _SOURCE)
    program.close(_SOURCE)
    program.purpose = ("no-new-privileges", "")
    program.add("prctl", syscalls.PR_SET_NO_NEW_PRIVS, 1)
    if base["on_violation"] == "deny":
        _give_up_rights(program, filter_program, listens=False)
    encoded = program.encode(), program.where
    return encoded if len(encoded[0]) <= BYTES_AT_MOST else None


def last(
    machine: str,
    base: Base,
    plan: Plan,
    streams: Sequence[int],
    limits: Sequence[tuple[int, int, int]],
    landlock_abi: int,
    filter_program: bytes,
) -> Encoded:
    """What is left when there is a launch.

    `streams` are the rights that `landlock.of_stream` gives the standard streams, `limits` what
    `command.within` makes of the plan's.
    """
    program = Program(machine)
    program.purpose = ("cwd", plan["cwd"])
    program.add("chdir", os.fsencode(plan["cwd"]))
    program.add("umask", plan["umask"])
    if landlock.is_used(landlock_abi):
        rights = landlock.rights(base["landlock"], landlock_abi)
        for path, kind in plan["landlock"]:
            program.purpose = ("landlock", path)
            _allow(program, path, rights[kind])
        program.purpose = ("landlock", "")
        for fd, wanted in enumerate(streams):
            if wanted:
                rule = wanted.to_bytes(8, "little") + fd.to_bytes(4, "little")
                # A pipe or a socket: Landlock has nothing to do with those.
                program.add("landlock_add_rule", _WALL, 1, rule, 0, forgive=errno.EBADFD)
        program.add("landlock_restrict_self", _WALL, 0)
        program.close(_WALL)
    if plan["on_violation"] != "deny":
        _give_up_rights(program, filter_program, listens=plan["on_violation"] == "kill")
    program.purpose = ("limits", "")
    for number, soft, hard in limits:
        limit = b"".join((value & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little") for value in (soft, hard))
        program.add("prlimit64", 0, number, limit, 0)
    return program.encode(), program.where


def _be_a_launch(program: Program) -> None:
    # Files below /proc/self belong to root as long as the process cannot be dumped.
    program.add("prctl", syscalls.PR_SET_DUMPABLE, 1)
    program.add("openat", _HERE, b"/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC, store=_SOURCE)
    program.add("write", _SOURCE, _OOM_SCORE, len(_OOM_SCORE))
    program.close(_SOURCE)
    program.add("prctl", syscalls.PR_SET_DUMPABLE, 0)


def _new_file_system(program: Program, kind: str, options: dict[str, str], attributes: int, into: Slot) -> None:
    program.add("fsopen", kind.encode(), 1, store=_CONTEXT)
    for name, value in options.items():
        program.add("fsconfig", _CONTEXT, _SET_STRING, name.encode(), value.encode(), 0)
    program.add("fsconfig", _CONTEXT, _CREATE, 0, 0, 0)
    program.add("fsmount", _CONTEXT, 1, attributes, store=into)
    program.close(_CONTEXT)


def _open(program: Program, path: str, flags: int, into: Slot, *, forgive: int = 0, skip: int = 0) -> None:
    how = program.data(b"".join(value.to_bytes(8, "little") for value in (_O_PATH | flags, 0, _IN_ROOT)))
    name = os.fsencode(path.lstrip("/") or ".")
    program.add("openat2", _ROOT, name, how, 24, store=into, forgive=forgive, skip=skip)


def _attach(program: Program, mount: Slot, path: str) -> None:
    _open(program, path, os.O_DIRECTORY, _TARGET)
    program.add("move_mount", mount, b"", _TARGET, b"", _BOTH_EMPTY)
    program.close(_TARGET, mount)


def _make_directories(program: Program, path: str, mounted: list[str], *, itself: bool) -> None:
    """Places were made beforehand in the kept root, but not in what is fresh."""
    above = max((place for place in mounted if path.startswith(f"{place}/")), key=len, default=None)
    if above is not None:
        names = path[len(above) + 1 :].split("/")
        for count in range(1, len(names) + itself):
            directory = f"{above}/{'/'.join(names[:count])}"
            program.add("mkdirat", _HERE, os.fsencode(directory), 0o755, forgive=errno.EEXIST)


def _proc(program: Program, path: str) -> None:
    _attach(program, _PROC, path)


def _pts(program: Program, path: str) -> None:
    attributes = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NOEXEC
    _new_file_system(program, "devpts", {"mode": "0620", "ptmxmode": "0666"}, attributes, _MOUNT)
    _attach(program, _MOUNT, path)


def _tmpfs(program: Program, path: str, size_bytes: int, inodes: int, mode: int) -> None:
    options = {"size": str(size_bytes), "nr_inodes": str(inodes), "mode": f"{mode:o}"}
    _new_file_system(program, "tmpfs", options, _SAFE, _MOUNT)
    _attach(program, _MOUNT, path)


def _mask(program: Program, path: str, source: str, _major: int, _minor: int) -> None:
    # Which device stands at the source was looked at when the root was made that is kept, and cannot have changed.
    _open(program, path, 0, _TARGET, forgive=errno.ENOENT, skip=7)
    _open(program, source, 0, _SOURCE)
    program.add("open_tree", _SOURCE, b"", _CLONED, store=_MOUNT)
    change = b"".join(value.to_bytes(8, "little") for value in (_NODE, 0, 0, 0))
    program.add("mount_setattr", _MOUNT, b"", _AT_EMPTY_PATH | _AT_RECURSIVE, change, 32)
    program.add("move_mount", _MOUNT, b"", _TARGET, b"", _BOTH_EMPTY)
    program.close(_SOURCE, _MOUNT, _TARGET)


def _link(program: Program, path: str, target: str) -> None:
    program.add("symlinkat", os.fsencode(target), _HERE, os.fsencode(path))


def _keep_queues(program: Program, place: str) -> None:
    """Message queues of the IPC namespace: one mount to look for what was left, and to allow by.

    It lies where another file system will hide it: one that is nowhere would end when its descriptor is closed, and for
    the end of a mount the kernel makes all processors wait for each other (synchronize_rcu_expedited).
    """
    program.add("fsopen", b"mqueue", 1, store=_CONTEXT, forgive=errno.ENODEV, skip=9 if place else 6)
    program.add("fsconfig", _CONTEXT, _CREATE, 0, 0, 0)
    program.add("fsmount", _CONTEXT, 1, _UNUSABLE, store=_QUEUES)
    program.close(_CONTEXT)
    program.add("openat", _QUEUES, b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, store=_SOURCE)
    program.add("dup3", _SOURCE, _QUEUES_FD, os.O_CLOEXEC)  # out of the way of standard streams, which come later
    program.close(_SOURCE)
    if place:
        _open(program, place, os.O_DIRECTORY, _TARGET)
        program.add("move_mount", _QUEUES, b"", _TARGET, b"", _BOTH_EMPTY)
        program.close(_TARGET)


def _begin_wall(program: Program, rules: tuple[tuple[str, str], ...], abi: int) -> None:
    if not landlock.is_used(abi):
        program.add("close", _QUEUES, forgive=errno.EBADF)
        return
    rights = landlock.rights(rules, abi)
    ruleset = b"".join(value.to_bytes(8, "little") for value in (rights["write"], 0, landlock.scoped(abi)))
    program.add("landlock_create_ruleset", ruleset, 24, 0, store=_WALL)
    for path, kind in rules:
        if kind == "queues":
            rule = program.data(rights["write"].to_bytes(8, "little") + bytes(4))
            program.put(Place(rule + 8), _QUEUES, 4)
            # EBADF: there are none, and the slot holds what it held when the process began, which is no descriptor.
            program.add("landlock_add_rule", _WALL, 1, rule, 0, forgive=errno.EBADF)
            program.add("close", _QUEUES, forgive=errno.EBADF)
        else:
            _allow(program, path, rights[kind])


def _allow(program: Program, path: str, rights: int) -> None:
    program.add("openat", _HERE, os.fsencode(path), os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, store=_SOURCE)
    rule = program.data(rights.to_bytes(8, "little") + bytes(4))
    program.put(Place(rule + 8), _SOURCE, 4)
    program.add("landlock_add_rule", _WALL, 1, rule, 0)
    program.close(_SOURCE)


def _give_up_rights(program: Program, filter_program: bytes, *, listens: bool) -> None:
    program.purpose = ("capabilities", "")
    program.add("prctl", syscalls.PR_CAP_AMBIENT, syscalls.PR_CAP_AMBIENT_CLEAR_ALL)
    header = 0x20080522.to_bytes(4, "little") + bytes(4)
    program.add("capset", header, bytes(24))
    program.purpose = ("seccomp", "")
    code = program.data(filter_program)
    fprog = program.data((len(filter_program) // 8).to_bytes(8, "little") + bytes(8))
    program.put(Place(fprog + 8), code, 8)
    program.add("seccomp", 1, 8 if listens else 0, fprog, store=_SOURCE)
    if listens:
        program.add("tell", LISTENER, _SOURCE)
        program.close(_SOURCE)


_OPERATIONS: dict[str, Callable[..., None]] = {
    "proc": _proc,
    "mask": _mask,
    "pts": _pts,
    "tmpfs": _tmpfs,
    "link": _link,
}
