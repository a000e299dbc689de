"""Slots: how many actions may run beside each other, by what they are known to need of the machine.

Most actions are small, and of those nothing is known here: each takes one slot. What an earlier run showed to be large
(several processors at once, much memory) counts for what it needs, and an exclusive action runs alone.
"""

from typing import NamedTuple

from bldr.api.sandbox import Usage
from bldr.graph.actions import ActionNode

MEMORY_WORTH_NOTING_BYTES = 64 << 20
CPUS_WORTH_NOTING = 1.5
CPU_TIME_WORTH_NOTING_S = 0.5
_WAITING = 2
"""So many actions are handed over at most before there is a slot for them: two slots may become free at once."""


class Demand(NamedTuple):
    """What one action takes while it runs: slots, one for each processor that it keeps busy, and memory."""

    slots: int = 1
    memory_bytes: int = 0
    exclusive: bool = False


SMALL = Demand()


def noteworthy(usage: Usage) -> tuple[float, int] | None:
    """Processors and bytes that an ended action needed at once; None where both are as small as of most."""
    cpu_s = usage.cpu_s or 0.0
    cpus = cpu_s / usage.wall_s if cpu_s > CPU_TIME_WORTH_NOTING_S and usage.wall_s else 0.0
    memory_bytes = usage.memory_peak_bytes or 0
    if cpus < CPUS_WORTH_NOTING and memory_bytes < MEMORY_WORTH_NOTING_BYTES:
        return None
    return cpus, memory_bytes


def demand_of(node: ActionNode, known: tuple[float, int] | None) -> Demand:
    """What an action will take, from what is `known` of its last run (see `noteworthy`)."""
    if known is None:
        return Demand(exclusive=True) if node.exclusive else SMALL
    cpus, memory_bytes = known
    return Demand(max(1, round(cpus)), memory_bytes, node.exclusive)


class Slots:
    """What is taken of `slots` and of `memory_bytes`. Whatever an action wants, it may run where nothing else does."""

    def __init__(self, slots: int, memory_bytes: int) -> None:
        self.number = slots
        self._memory_bytes = memory_bytes
        self._taken = 0
        self._taken_bytes = 0
        self._exclusive = False
        self._large = 0
        self.running = 0

    @property
    def full(self) -> bool:
        """Whether nothing fits, however small."""
        return self._exclusive or self._taken >= self.number

    def fits(self, demand: Demand) -> bool:
        """Whether an action that needs so much may start now."""
        if not self.running:
            return True
        return not (
            self.full
            or demand.exclusive
            or self._taken + demand.slots > self.number
            or (demand.memory_bytes and self._taken_bytes + demand.memory_bytes > self._memory_bytes)
        )

    def fits_next(self, demand: Demand) -> bool:
        """Whether an action may wait with its launcher for whatever ends first: all are small, and few others wait."""
        waiting = self._taken - self.number
        return demand == SMALL and not self._large and 0 <= waiting < min(_WAITING, self.number)

    def take(self, demand: Demand) -> None:
        self.running += 1
        self._large += demand != SMALL
        self._taken += demand.slots
        self._taken_bytes += demand.memory_bytes
        self._exclusive = demand.exclusive

    def give_back(self, demand: Demand) -> None:
        self.running -= 1
        self._large -= demand != SMALL
        self._taken -= demand.slots
        self._taken_bytes -= demand.memory_bytes
        self._exclusive = False
