"""The control groups of one cell: limits before a launch, counters during it, a verdict after it.

Runs in the cell, unprivileged, after `Tree` (the engine's side) has made the top groups. Everything raises OSError
with the path of the control file. Limits (`prepare`): memory, memory_high, processes, cpus, cpu_weight, io.
"""

from __future__ import annotations

from bldr_linux.cgroups import files
from bldr_linux.cgroups.legacy import LegacyGroup
from bldr_linux.cgroups.unified import UnifiedGroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bldr_linux.cgroups.tree import Description


LEAF = "launcher"
"""The group of v2, in a tree's top one, that the launcher is in."""


def enter_leaf(description: Description) -> None:
    """Put the caller, a launcher, where it may make processes in groups of v2; before it forks. The kernel takes some
    milliseconds for it."""
    _, unified, *_ = description
    if unified:
        files.write(f"{unified}/{LEAF}/cgroup.procs", 0)


class CellGroup:
    """Groups of v1 that the calling process, a cell, lives in, and one of v2 for launches, see `UnifiedGroup`; either
    may be missing.

    A cell is single-threaded and runs one launch at a time; two cells of a tree have different numbers.
    """

    def __init__(self, description: Description, number: int) -> None:
        _, unified, controllers, legacy, disks = description
        name = f"cell-{number}"
        self._unified = UnifiedGroup(unified, controllers, disks, name) if unified else None
        self._legacy = LegacyGroup(dict(legacy), disks, name) if legacy else None

    def prepare(self, limits: dict[str, int | float], *, attendants: int = 1) -> int:
        """Make ready for one launch: the descriptor for CLONE_INTO_CGROUP, or -1. It stays open at least until `leave`.

        A limit that is missing in `limits` is lifted. `attendants` of ours live among the launch's processes (its
        pid 1) and are not counted.
        """
        group_fd = self.make(limits, attendants=attendants)
        self.begin(limits, attendants=attendants)
        return group_fd

    def make(self, limits: dict[str, int | float], *, attendants: int = 1) -> int:
        """The first half of `prepare`: the group to be born into. An earlier launch may still be ending."""
        return self._unified.prepare(limits, attendants) if self._unified else -1

    def begin(self, limits: dict[str, int | float], *, attendants: int = 1) -> bool:
        """The second half, when nothing of an earlier launch is left; whether the cell moved to another group."""
        return self._legacy.prepare(limits, attendants) if self._legacy else False

    def places(self) -> list[str]:
        """The directories of the groups that the cell lives in."""
        return self._legacy.places() if self._legacy else []

    def kill(self) -> bool:
        """End every process of the launch at once; False where no group can do that."""
        return self._unified.kill() if self._unified else False

    def measure(self) -> dict[str, int | float]:
        """What the launch has used until now; what the kernel does not tell is absent.

        Keys: cpu_s, memory_bytes, memory_peak_bytes, read_bytes, written_bytes, processes, processes_peak.
        """
        used = self._legacy.measure() if self._legacy else {}
        # The group of v2 holds exactly the launch, those of v1 also the cell.
        return used | self._unified.measure() if self._unified else used

    def oom_kills(self) -> int:
        """How many of the launch's processes were killed for want of memory; on v1 the others live on."""
        return sum(part.oom_kills() for part in (self._legacy, self._unified) if part)

    def hits(self) -> dict[str, int]:
        """The limits that this launch met, and how often: "memory" (processes killed), "processes" (forks refused)."""
        refused = sum(part.refused_forks() for part in (self._legacy, self._unified) if part)
        met = {"memory": self.oom_kills(), "processes": refused}
        return {name: count for name, count in met.items() if count > 0}

    def leave(self) -> None:
        """Be done with the launch's group; `measure` and ask for `hits` before. `clear` removes one of no use."""
        if self._unified:
            self._unified.leave()

    def finish(self) -> None:
        """`leave` and `clear`, when all processes of the launch are dead. `measure` and ask for `hits` before."""
        if self._unified:
            self._unified.leave()
            self._unified.discard()

    def clear(self) -> None:
        """Remove the groups that were left, when all their processes are dead."""
        if self._unified:
            self._unified.discard()

    def close(self) -> None:
        """Let go of everything, before the process ends; the tree removes the groups of v1 after that."""
        if self._unified:
            self._unified.close()
        if self._legacy:
            self._legacy.close()
