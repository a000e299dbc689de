"""The seam that platforms fill: probe what the machine can give, launch actions, report how they ended."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Literal, Protocol, runtime_checkable

import msgspec

from bldr.api.spec import SandboxSpec

GUARANTEES = (
    "fs-read",
    "fs-write",
    "paths",
    "network",
    "pids",
    "ipc",
    "hostname",
    "env",
    "users",
    "devices",
    "syscalls",
    "privileges",
    "wall-time",
)
"""What `--isolation=require` demands, all of it."""

LIMITS = (
    "memory",
    "cpu",
    "processes",
    "output",
    "disk",
    "file-size",
    "log",
    "memory-high",
    "cpu-share",
    "io",
)
"""Demanded only where somebody set the limit on purpose."""


class Level(IntEnum):
    """Who enforces a guarantee; a higher level is at least as strong."""

    NONE = 0
    SUPERVISED = 1
    KERNEL = 2


Isolation = dict[str, Level]
"""Guarantee or limit -> level; a name that is absent is `Level.NONE`."""


def covers(one: Isolation, other: Isolation) -> bool:
    """Whether `one` is at least as strong as `other` in every guarantee and limit: the partial order of isolation."""
    for name, level in other.items():  # noqa: SIM110 - several times per action, and a generator costs twice this
        if one.get(name, Level.NONE) < level:
            return False
    return True


class Shortfall(msgspec.Struct, frozen=True):
    """A guarantee that this machine cannot give: why, and what to do about it."""

    guarantee: str
    why: str
    remedy: str


class Probe(msgspec.Struct, frozen=True):
    """What a platform can give here and now. `notes` say how it works here, where that depends on the machine.

    `foreign`: it is another system's, so that why it does not work here is no news to anybody.
    """

    sandbox: str
    supported: bool
    isolation: Isolation
    shortfalls: tuple[Shortfall, ...] = ()
    notes: tuple[str, ...] = ()
    foreign: bool = False


class StagedTree(msgspec.Struct, frozen=True):
    """The action's own tree: at `path` it sees `lower` (never changed) and whatever it writes, which lands in `upper`.

    `lower`, `upper` and `work` are host directories on one file system, made by the engine below the store's root;
    `upper` and `work` are empty and owned by `Launcher.owner`. A platform that cannot mount puts the tree to use in
    another way and says so with the guarantee `paths`.

    A platform whose layout is "overlay" is also given trees without `lower` ("", as `work`): then `upper` holds what
    the action reads, out of reach of its writes, and is shown itself.
    """

    path: str
    lower: str
    upper: str
    work: str


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """One command to run. The descriptors stay the caller's; the launcher duplicates what it needs in `start`.

    `into`, which only a platform that has `opens_stdout` is asked for, is a file of the sandbox that standard output
    goes to instead of `stdout`: opened as `>` of a shell does it, where and when the command begins.
    """

    launch_id: int
    spec: SandboxSpec
    argv: tuple[str, ...]
    cwd: str
    stdin: int
    stdout: int
    stderr: int
    tree: StagedTree | None = None
    announce: bool = False  # whether `Launcher.started` is to tell of it
    into: str = ""
    in_turn: bool = False  # whether it waits until one of the places of `Turns` is free; so do all of a build


class Started(msgspec.Struct, frozen=True):
    """The sandbox of a launch stands and its command runs: `pid` on this machine, -1 where the platform cannot tell.

    `pidfd` refers to the command for as long as it is open and is the receiver's to close; -1 where there is none.
    """

    launch_id: int
    pid: int = -1
    pidfd: int = -1


class Verdict(msgspec.Struct, frozen=True):
    """Why the platform ended an action: the limit's name, its value and the use, in `unit`.

    For a forbidden system call the limit is "syscall", and the unit is the call's name.
    """

    limit: str
    value: float
    used: float
    unit: str

    def __str__(self) -> str:
        if self.limit == "syscall":
            return f"the system call {self.unit} is forbidden"
        value, used = _quantity(self.value, self.unit), _quantity(self.used, self.unit)
        more = "" if used == value or self.used < self.value else f" (used {used})"
        return f"{self.limit} limit of {value} reached{more}"


def _quantity(value: float, unit: str) -> str:
    if unit != "bytes":
        return f"{round(value, 1):g} {unit}"
    for prefix in ("bytes", "KiB", "MiB"):
        if value < 1024:
            return f"{round(value, 1):g} {prefix}"
        value /= 1024
    return f"{round(value, 1):g} GiB"


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What an action used; None where the platform cannot tell."""

    wall_s: float = 0.0
    cpu_s: float | None = None
    memory_bytes: int | None = None  # at this moment, of a launch that runs
    memory_peak_bytes: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    processes: int | None = None  # at one time, the most


class SetupFailure(msgspec.Struct, frozen=True):
    """The command never started: which step failed, on what, and what may help."""

    message: str
    hint: str = ""


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """How a launch ended; every process of it is dead. `exit_code` is 128 + N after signal N, as in a shell.

    `warnings`: what people should hear although it stopped nothing. `began`: False where it was ended while it waited
    for its turn.
    """

    launch_id: int
    exit_code: int
    signal: int = 0
    usage: Usage = Usage()
    isolation: Isolation = {}
    verdict: Verdict | None = None
    failure: SetupFailure | None = None
    warnings: tuple[str, ...] = ()
    began: bool = True


class Launcher(Protocol):
    """A running service that starts commands; used by one thread. Every `start` is answered by exactly one `Exit`,
    and where the launch asked for it by at most one `Started` before that."""

    @property
    def owner(self) -> tuple[int, int] | None:
        """The uid and gid that must own `StagedTree.upper` and `work`; None where the caller's own will do."""

    def fileno(self) -> int:
        """A descriptor that becomes readable when `reap` or `started` has something to say."""

    def start(self, launch: Launch) -> None:
        """Hand over one command; never blocks on it. A set-up that fails arrives as an `Exit` with `failure`."""

    def kill(self, launch_id: int) -> None:
        """End a launch and all its processes at once, or one that waits for its turn; its `Exit` still arrives.
        Unknown ids are ignored."""

    def signal(self, launch_id: int, number: int) -> None:
        """Send a signal to the command of a launch and to those of its group. Unknown ids are ignored."""

    def measure(self, launch_id: int) -> Usage | None:
        """What a launch has used until now; None where the platform cannot tell while it runs."""

    def started(self) -> Sequence[Started]:
        """The launches whose command was started since the last call; never blocks. To be asked before `reap`."""

    def reap(self) -> Sequence[Exit]:
        """The launches that ended since the last call; never blocks."""

    def close(self) -> None:
        """End everything that still runs and return when nothing is left alive."""


@runtime_checkable
class Turns(Protocol):
    """What a launcher may have besides: places that launches take by themselves, so that one which is handed over early
    starts as soon as another has ended, and does not wait until the engine has heard of that.

    Launches with `Launch.in_turn` take a place before their command starts, and wait for one, in any order, where there
    is none. Who ends well (exit code 0, no verdict) leaves it to the next; after any other end it stays taken.
    """

    def allow(self, places: int) -> None:
        """So many launches may run at once; to be called once, before the first of them."""

    def begun(self) -> Sequence[int]:
        """The launches that have taken a place since the last call; never blocks."""

    def go_on(self) -> None:
        """Free the places of those that did not end well: what waits may start all the same."""

    def recall(self) -> None:
        """End what waits; what runs goes on. Each is answered by an `Exit` that says whether it began."""


class Sandbox(Protocol):
    """A platform; registered by the hook `bldr_sandboxes`. The engine picks the supported one with the most to give.

    `tree_layout` says what `StagedTree.upper` holds after the run: "overlay", only what the action wrote (overlayfs
    white-outs mark what it removed), or "copy", the whole tree.

    A platform may have a third attribute, `promised`: an `Isolation`, the most that it gives on any machine. Then it is
    not even probed where another one has given as much. A fourth, `opens_stdout`, says that it knows `Launch.into`. And
    it may have two methods without arguments, `prepare` and `dismiss`: something is likely to be run soon, so that a
    probe or a launcher can be begun; and it was the last. Its attribute `is_prepared` then says whether a probe would
    not wait; its `open` takes `waits=False`, so that the first launch raises what is the matter with the launcher. A
    method `get_ready` is called where a process has built and will build again: what no launch decides may wait then.
    `starter` names a module that imports next to nothing and has a function `get_ready` without arguments: a process
    that finds something to build calls it before it imports whatever building takes.
    """

    name: str
    tree_layout: Literal["overlay", "copy"]

    def probe(self) -> Probe:
        """Try, do not guess. Cheap enough for every build that runs an action."""

    def open(self, root: str, *, map_caller: bool = False, outlives: bool = False) -> Launcher:
        """Start a launcher. Must be called before the process starts any thread.

        `root` is a directory (mode 0711 below a 0700 parent) under which all staged trees and staged inputs lie; a
        launcher that gives up privileges must still reach it. With `map_caller` actions run as the caller even when
        the caller is root. With `outlives`, launches whose policy says so go on when the caller has gone. Raises
        IsolationError with the remedy.
        """
