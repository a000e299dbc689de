"""The build after an edit: only contents of sources differ, so that only the actions that they reach are looked at.

Whatever the snapshot says of the others holds, as the check has proven: their keys are what they were, their results
are in the store, and what a person asked for of them is in its place. What is left runs as in every build.
"""

import contextlib
import os
from collections.abc import Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from bldr.api.errors import BldrError
from bldr.api.events import BuildFinished, Error
from bldr.api.sandbox import Probe, Sandbox
from bldr.execute.platforms import Platforms
from bldr.graph.actions import ActionNode
from bldr.hermetic.policy import Mode
from bldr.report.stream import EventStream
from bldr.snapshot import actions
from bldr.snapshot.actions import Actions
from bldr.snapshot.since import Since, write_since
from bldr.snapshot.wanted import Heard
from bldr.store.store import Store, open_store

if TYPE_CHECKING:
    from bldr.snapshot.proofs import Group, Place


class Edit(NamedTuple):
    """A snapshot of which everything holds but the contents of some sources (`changed`)."""

    place: str
    cache: str
    root: str
    base: bytes
    first_numbers: dict[int, int]
    changed: "list[Place]"
    since: Since
    groups: "dict[int, Group]"

    def sources(self) -> list[int]:
        """The numbers of the changed sources."""
        return [self.first_numbers[index] + position for index, position in self.changed]


def build(edit: Edit) -> int | None:
    """Build what the changes reach; the exit code, or None where only the whole build can."""
    known = actions.read(edit.place, edit.cache, edit.base)
    if known is None:
        return None
    with open_store(edit.cache) as store:
        sandboxes = [getattr(import_module(module), name)() for module, name in known.head["sandboxes"]]
        platforms = _Remembered(sandboxes, known.head["mode"], store.root, store.memo)
        try:
            affected = known.affected(edit.sources())
            if affected:
                platforms.open_early([known.piece(affected[0]).node])
            return _build(edit, known, store, platforms)
        finally:
            platforms.close()


def _build(edit: Edit, known: Actions, store: Store, platforms: "_Remembered") -> int | None:
    from bldr.cli.listeners import make_listeners
    from bldr.snapshot.reached import MistakenError, Part, building_of, updated

    heard = Heard()
    display = make_listeners(cast(Any, SimpleNamespace(quiet=known.head["quiet"], verbose=0)), os.environ)
    events = EventStream([*display, heard])
    with contextlib.closing(events):
        part = Part(known, edit)
        try:
            building = building_of(part, edit, store, platforms, events)
        except BldrError:
            return None  # nothing was said yet: the whole build says what is wrong
        try:
            outcome = building.run(is_test=False)
        except MistakenError:
            platforms.forget()
            return None
        except BldrError as error:
            events.emit(Error(message=error.message, hint=error.hint))
            events.emit(BuildFinished(success=False, exit_code=error.exit_code, ran=0, cached=0, failed=0))
            return error.exit_code
        if outcome.exit_code == 0 and not heard.warnings:
            store.flush()
            with contextlib.suppress(OSError):  # as a snapshot that cannot be written: it costs time only
                write_since(edit.place, edit.base, updated(edit, part, building.entries, store))
        return outcome.exit_code


class _Remembered(Platforms):
    """Platforms that believe what the last probe found also for an action that must run.

    A probe is kept only where it found everything. Trying it all out again would take longer than the action; whether
    the action was isolated as it had to be is told with its result, and `bldr.snapshot.reached` looks at that before
    anybody else.
    """

    def _select(self, mode: Mode) -> tuple[Sandbox, Probe]:
        if mode not in self._selected and (probe := self.remembered(mode)) is not None:
            found = self._memo.get(f"{self._memo_key(mode)}/found")
            for sandbox in self._sandboxes:
                believe = getattr(sandbox, "believe", None)
                if sandbox.name == probe.sandbox and believe is not None and found is not None:
                    believe(probe, found)
                    self._selected[mode] = sandbox, probe
        return super()._select(mode)

    def open_early(self, nodes: Sequence[ActionNode]) -> None:
        """The same without a probe."""
        mode = self._mode_of(nodes[0])
        with contextlib.suppress(BldrError):
            sandbox, _ = self._select(mode)
            if hasattr(sandbox, "believe"):
                self._launchers[sandbox.name] = sandbox.open(self._root, waits=False)  # type: ignore[call-arg]  # as believe

    def remembered(self, mode: Mode) -> Probe | None:
        """What the last probe found."""
        data = self._memo.get(self._memo_key(mode))
        return msgspec.msgpack.decode(data, type=Probe) if data else None

    def forget(self) -> None:
        """Let the next build look for itself."""
        for mode in self._selected:
            self._memo.put(self._memo_key(mode), b"")
