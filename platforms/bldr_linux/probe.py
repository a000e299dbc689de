"""Tries what the Linux sandbox can give on this machine, by setting one up; each shortfall with its remedy."""

import os
import select

from bldr.api import GUARANTEES, LIMITS, Isolation, IsolationError, Level, Probe, SandboxSpec, SetupFailure, Shortfall
from bldr_linux import causes
from bldr_linux.cgroups.tree import open_tree
from bldr_linux.client import LinuxLauncher
from bldr_linux.compile import Host, limit_levels, reached
from bldr_linux.seccomp import MACHINES

_NOBODY = 65534
_USR_LINKS = ("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin")
_NO_PROC = SetupFailure("there is no /proc here", "mount it: `mount -t proc proc /proc`")
_LIMIT_SHORTFALLS = (
    Shortfall(
        "processes",
        "no control group counts them, nor does the kernel for each user namespace, or actions run as root",
        "use Linux 5.14 or newer, and do not map root into the sandbox",
    ),
)


def owner(*, map_caller: bool) -> tuple[int, int] | None:
    """Who must own what actions write; None: the caller."""
    drop = os.geteuid() == 0 and not map_caller and _is_mapped(_NOBODY)
    return (_NOBODY, _NOBODY) if drop else None


def host(
    root: str, owner: tuple[int, int] | None, *, map_caller: bool, limits_processes: bool, groups: Isolation
) -> Host:
    """The facts that plans depend on; `groups` is what control groups enforce."""
    return Host(
        root=os.path.realpath(root),
        relative=owner is not None,
        is_root=os.geteuid() == 0 and owner is None,
        # What was tried without rights does not hold for root, whose processes the kernel does not count.
        limits_processes=limits_processes and not (os.geteuid() == 0 and map_caller),
        groups=frozenset(name for name, level in groups.items() if level is Level.KERNEL),
        usr_links=tuple((path, os.readlink(path)) for path in _USR_LINKS if _leads_into_usr(path)),
    )


class Trial:
    """One sandbox that is set up and taken down, while the caller does other things until it wants the answer."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._unusable = _unusable()
        self._owner = owner(map_caller=False)
        self._failure: SetupFailure | None = None
        self._launcher: LinuxLauncher | None = None
        if self._unusable is not None:
            return
        self._tree = open_tree(self._owner)
        try:
            self._facts = host("/", self._owner, map_caller=False, limits_processes=True, groups=self._tree.levels)
            self._launcher = LinuxLauncher(self._facts, self._owner, self._tree, waits=False)
            self._cell = self._launcher.begin_probe()
        except IsolationError as error:
            self._failure = SetupFailure(error.message, error.hint)
        except BaseException:
            self.close()
            raise

    @property
    def is_over(self) -> bool:
        """Whether the answer is there."""
        if self._launcher is None:
            return True
        poll = select.poll()
        poll.register(self._launcher, select.POLLIN)
        return bool(poll.poll(0))

    def answer(self) -> tuple[Probe, bool]:
        """What the sandbox gives here, and whether processes can be limited without a control group."""
        if self._unusable is not None:
            return _nothing(self._name, self._unusable), False
        try:
            counted = self._counted()
        finally:
            self.close()
        if self._failure is not None:
            return _nothing(self._name, causes.of(self._failure, self._owner)), False
        facts = self._facts._replace(limits_processes=counted)
        isolation: Isolation = reached(SandboxSpec(), self._facts) | limit_levels(facts)
        reasons = {shortfall.guarantee: shortfall for shortfall in (*_LIMIT_SHORTFALLS, *self._tree.shortfalls)}
        missing = [limit for limit in LIMITS if isolation.get(limit, Level.NONE) is Level.NONE]
        shortfalls = tuple(reasons[limit] for limit in missing)
        return Probe(self._name, supported=True, isolation=isolation, shortfalls=shortfalls), counted

    def _counted(self) -> bool:
        if self._launcher is None:
            return False
        try:
            counted, self._failure = self._launcher.end_probe(self._cell)
        except IsolationError as error:
            self._failure = SetupFailure(error.message, error.hint)
            return False
        return counted

    def close(self) -> None:
        """End what was started for it."""
        if self._launcher is not None:
            self._launcher.close()
        if self._unusable is None:
            self._tree.close()


def _unusable() -> SetupFailure | None:
    """What can be told without trying."""
    machine = os.uname().machine
    if machine not in MACHINES:
        known = ", ".join(MACHINES)
        return SetupFailure(f"the system call filter is not known for {machine}", f"use one of {known}")
    return None if os.path.exists("/proc/self/ns/pid") else _NO_PROC


def _nothing(name: str, failure: SetupFailure) -> Probe:
    shortfalls = tuple(Shortfall(guarantee, failure.message, failure.hint) for guarantee in GUARANTEES)
    return Probe(name, supported=False, isolation={}, shortfalls=shortfalls)


def _is_mapped(uid: int) -> bool:
    """Whether the user exists in this user namespace; in one that maps only its maker, root is nobody special."""
    for line in causes.read("/proc/self/uid_map").splitlines():
        first, _, count = map(int, line.split())
        if first <= uid < first + count:
            return True
    return False


def _leads_into_usr(path: str) -> bool:
    return os.path.islink(path) and os.readlink(path).lstrip("/").split("/")[0] == "usr"
