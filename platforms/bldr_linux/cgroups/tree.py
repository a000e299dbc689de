"""The engine's top groups, one in every hierarchy where one can be made: found by trying, removed at the end.

Nothing here fails for want of control groups: a tree without any says so in `levels` and `shortfalls`.
"""

import contextlib
import errno
import itertools
import os

from bldr.api import Isolation, Level, Shortfall
from bldr_linux.cgroups import files, trials
from bldr_linux.cgroups.delegation import choose, enable, give_back
from bldr_linux.cgroups.group import LEAF
from bldr_linux.cgroups.hierarchies import Hierarchies, find
from bldr_linux.cgroups.leftovers import end, name_of_owner, remove_stale
from bldr_linux.cgroups.shortfalls import explain

Description = tuple[str, str, tuple[str, ...], tuple[tuple[str, str], ...], tuple[str, ...]]
"""Plain data for a cell: kind ("v1", "v2" or "none"), the top group of v2 ("" for none) and its controllers, the top
groups of v1 by controller, and the disks ("8:0") whose speed can be limited."""

_GIVEN_AWAY = ("", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads", "/tasks")
_LIMITS = ("memory", "processes", "cpu-share", "io", "memory-high")
_CONTROLLERS = {"memory": "memory", "processes": "pids", "cpu-share": "cpu", "io": "blkio", "memory-high": "memory"}
_count = itertools.count()


class Tree:
    """Owns the top groups of one launcher. `owner` is the (uid, gid) that works in them; None is the caller."""

    def __init__(self, owner: tuple[int, int] | None, found: Hierarchies) -> None:
        self._owner = owner
        self._found = found
        self._name = name_of_owner(next(_count))
        self._base = ""
        self._unified = ""
        self._controllers: tuple[str, ...] = ()
        self._legacy: dict[str, str] = {}
        self._disks: tuple[str, ...] = ()
        self._errors: dict[str, OSError] = {}
        self.levels: Isolation = {}

    def make(self) -> None:
        """Make the top groups, and try what can be limited in them."""
        if self._found.unified:
            try:
                self._make_unified()
            except OSError as error:
                self._errors["unified"] = error
        for controller, own in self._found.legacy.items():
            try:
                self._make_legacy(controller, own)
            except OSError as error:
                self._errors[controller] = error
        self._try_limits()

    def _make_unified(self) -> None:
        base = choose(self._found.unified, self._found.root)
        if base is None:
            # The reason is that of the first place anybody would try.
            os.mkdir(f"{self._found.unified}/{self._name}", 0o755)
            os.rmdir(f"{self._found.unified}/{self._name}")
            return
        remove_stale(base)
        top = f"{base}/{self._name}"
        os.mkdir(top, 0o755)
        self._base = base
        try:
            os.mkdir(f"{top}/{LEAF}", 0o755)
            _check_holds_processes(f"{top}/{LEAF}")
            controllers = enable(top)
            self._give_away(top)
            self._give_away(f"{top}/{LEAF}")
        except OSError:
            end(top)
            raise
        self._unified, self._controllers = top, tuple(sorted(controllers))

    def _make_legacy(self, controller: str, own: str) -> None:
        top = f"{own}/{self._name}"
        # Controllers that are mounted together share a directory.
        if top not in self._legacy.values():
            remove_stale(own)
            os.mkdir(top, 0o755)
            try:
                self._give_away(top)
            except OSError:
                end(top)
                raise
        self._legacy[controller] = top

    def _give_away(self, directory: str) -> None:
        if self._owner is None:
            return
        for suffix in _GIVEN_AWAY:
            with contextlib.suppress(FileNotFoundError):
                os.chown(f"{directory}{suffix}", *self._owner)

    def _try_limits(self) -> None:
        held: set[str] = set()
        tops = [(self._unified, frozenset(self._controllers), trials.UNIFIED)] if self._unified else []
        for top in dict.fromkeys(self._legacy.values()):
            controllers = frozenset(name for name, path in self._legacy.items() if path == top)
            tops.append((top, controllers, trials.LEGACY))
        for top, controllers, limits in tops:
            try:
                trial = trials.Trial(top, controllers, limits)
            except OSError as error:
                self._errors.update(dict.fromkeys(controllers, error))
                continue
            held |= trial.holds
            self._errors |= trial.errors
            self._disks = trial.disks or self._disks
        if self._disks and "io" in self._controllers:
            held.add("io")
        self.levels = dict.fromkeys(held, Level.KERNEL)
        if self._unified or "cpuacct" in self._legacy:
            self.levels["cpu"] = Level.SUPERVISED

    @property
    def description(self) -> Description:
        """What a cell must know to make groups of its own."""
        kind = "v1" if self._legacy else "v2" if self._unified else "none"
        return kind, self._unified, self._controllers, tuple(self._legacy.items()), self._disks

    @property
    def shortfalls(self) -> tuple[Shortfall, ...]:
        """The limits that groups cannot enforce here, each with why and what to do about it."""
        mounted = "v1" if self._found.legacy else "v2" if self._found.unified else "none"
        return tuple(explain(limit, mounted, self._error(limit)) for limit in _LIMITS if limit not in self.levels)

    def _error(self, limit: str) -> OSError | None:
        for name in (limit, _CONTROLLERS[limit], "unified"):
            if name in self._errors:
                return self._errors[name]
        return None

    def close(self) -> None:
        """Kill what is left in the groups and remove them."""
        # v2 first: it kills at once, and all of it is in there.
        tops = dict.fromkeys([self._unified, *self._legacy.values()] if self._unified else self._legacy.values())
        self._unified, self._legacy, self._controllers = "", {}, ()
        for top in tops:
            end(top)
        if self._base:
            give_back(self._base)
            self._base = ""


def _check_holds_processes(directory: str) -> None:
    """Below a group for threads only, a group can be made and no process can enter it."""
    path = f"{directory}/cgroup.type"
    kind = files.read(path).strip()
    if kind != "domain":
        raise OSError(errno.EOPNOTSUPP, f"the group is of the type {kind}", path)


def open_tree(owner: tuple[int, int] | None = None) -> Tree:
    """Make top groups for a launcher whose processes belong to `owner`; without permission the tree is empty."""
    try:
        found = find(files.read("/proc/self/cgroup"), files.read("/proc/self/mountinfo"))
    except OSError:
        found = Hierarchies("", "", {})
    tree = Tree(owner, found)
    tree.make()
    return tree


def no_tree() -> Tree:
    """A tree without groups, for a launcher that must work without."""
    tree = Tree(None, Hierarchies("", "", {}))
    tree.make()
    return tree
