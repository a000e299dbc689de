"""The sandbox that a cell makes ahead of its next launch, as soon as the one before is over."""

from __future__ import annotations

import os

from bldr_linux.cradle import CradleError
from bldr_linux.root import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bldr_linux.cgroups.group import CellGroup
    from bldr_linux.cradle import Newborn
    from bldr_linux.plan import Plan
    from bldr_linux.resident import Ready, Resident
    from bldr_linux.running import Running

_REHEARSE_AFTER = 4  # launches: what takes some milliseconds is not worth it for fewer
_OWN_SOCKETS = 2  # a launch's, both ends of what pid 1 speaks through: in the network namespace that is kept


class Ahead:
    """Owns the sandbox that waits, and what the cell keeps to make it from."""

    def __init__(self, resident: Resident, group: CellGroup) -> None:
        self._resident = resident
        self._group = group
        self._ready: Newborn | Ready | None = None
        self._launches = 0

    def take(self, plan: Plan, taken: Newborn | Ready | None = None) -> Newborn | Ready:
        """The sandbox for a launch, with what is its own in it: the one that waits, or another where it is of no use.

        One that was `taken` for it before is still good unless somebody has ended it meanwhile. Raises OSError and
        StepError.
        """
        if taken is not None:
            if taken.is_alive():
                return taken
            taken.end()
            self._group.finish()
        if plan["filters"]:
            self._lose_cradle()  # it knows nothing of those
        try:
            ready = self._furnished(plan)
        except CradleError:
            self._lose_cradle()
            ready = self._furnished(plan)
        self._ready = None
        return ready

    def _furnished(self, plan: Plan) -> Newborn | Ready:
        if self._ready is not None and not (self._ready.is_alive() and self._resident.is_up_to_date()):
            self._end()
        ready = self._ready or self._make()
        try:
            namespace_fd = ready.namespace()
            try:
                self._resident.furnish(plan, namespace_fd)
            finally:
                os.close(namespace_fd)
        except BaseException:
            self._end()
            raise
        return ready

    def make(self, ending: Running | None) -> None:
        """Make the next one; of the launch before only its pid 1 may be left, which is waited for.

        What fails now is tried again, and told of, when there is a launch.
        """
        try:
            self._make_next(ending)
        except (OSError, StepError, CradleError):
            # Perhaps before anybody has looked at the network that the launch before was in.
            self._end()
            self._resident.soil()

    def _make_next(self, ending: Running | None) -> None:
        sockets = _OWN_SOCKETS if ending else 0
        if self._resident.cradle is None:
            self._resident.tidy(sockets)
            self._launches += 1
            if self._launches == _REHEARSE_AFTER:
                self._resident.rehearse()
        if self._ready is None:
            self._make(ending)
        # While somebody else bears the next one. Nothing may be left in the network that it is born into.
        if self._resident.cradle is not None and not self._resident.tidy(sockets + _OWN_SOCKETS):
            self._end()
            self._make()

    def _make(self, ending: Running | None = None) -> Newborn | Ready:
        resident = self._resident
        resident.prepare(looks=ending is None)
        control = resident.base["control"]
        self._ready = ready = resident.bear(self._group.make(control))
        if ending is not None and ending.pid:
            os.waitpid(ending.pid, 0)
            ending.pid = 0
            self._group.clear()
        try:
            # The cradle lives among the launch's processes, as its pid 1 does.
            moved = self._group.begin(control, attendants=2 if resident.cradle else 1)
        except BaseException:
            self._end()  # whoever takes it believes that its limits are set
            raise
        if not moved:
            return ready
        self._end()  # it was born in a group that the cell has left
        self._group.finish()
        if resident.cradle is not None:
            resident.cradle.join(self._group.places())
        return self._make()

    def _end(self) -> None:
        if self._ready is not None:
            self._ready.end()
            self._ready = None

    def _lose_cradle(self) -> None:
        self._end()
        self._resident.lose_cradle()

    def close(self) -> None:
        """End what waits for a launch that does not come."""
        self._lose_cradle()
