"""What past builds of a workspace left for later ones: how long actions took and what they needed of the machine, what
they were made of, what they read.

None of it decides whether a result is right; losing it costs time or an explanation.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import xxhash

from bldr.api.sandbox import Usage
from bldr.execute.slots import noteworthy
from bldr.store.store import Store

_MOST_READ_SETS = 16
"""Sets of read files kept for one first-level key: the latest, as a header comes and goes."""


class LastRun(msgspec.Struct, frozen=True, array_like=True):
    """What the last successful run of an action was made of, as `plan.key.record` gives it."""

    seen: dict[str, str]
    reads: tuple[str, ...] | None


class Past(NamedTuple):
    """The last successful run of an action, and why it failed if it was run after that."""

    last: LastRun | None
    failure: str


class History:
    """The memory of one workspace, in the store's memo; written once, by `save`."""

    def __init__(self, store: Store, workspace_root: str) -> None:
        self._store = store
        self._workspace = xxhash.xxh3_64_hexdigest(workspace_root.encode("utf-8", "surrogateescape"))
        remembered = store.memo.get(self._durations_key)
        self.durations_s: dict[str, float] = (
            msgspec.msgpack.decode(remembered, type=dict[str, float]) if remembered else {}
        )
        remembered = store.memo.get(self._needs_key)
        self.needs: dict[str, tuple[float, int]] = (
            msgspec.msgpack.decode(remembered, type=dict[str, tuple[float, int]]) if remembered else {}
        )
        """Processors and bytes of memory that an action needed at once; only of those that needed much."""
        self._changed = self._needs_changed = False
        self._never_failed: set[str] = set()  # as far as somebody has asked
        self._is_new: bool | None = None  # nothing was ever built in the workspace; None: nobody has asked
        self._known: set[str] = set()  # in a new one: what ran meanwhile

    @property
    def _durations_key(self) -> str:
        return f"durations/{self._workspace}"

    @property
    def _needs_key(self) -> str:
        return f"needs/{self._workspace}"

    def last(self, name: str) -> LastRun | None:
        """The last successful run of the action of this name."""
        return self.past([name])[name].last

    def past(self, names: Sequence[str]) -> dict[str, Past]:
        """What is known of some actions, by their names."""
        last, failed = f"last/{self._workspace}/", f"failed/{self._workspace}/"
        if self._is_new is None:
            self._is_new = not (self._store.memo.holds(last) or self._store.memo.holds(failed))
        if self._is_new and self._known.isdisjoint(names):  # thousands of questions that have one answer
            self._never_failed.update(names)
            return dict.fromkeys(names, Past(None, ""))
        found = self._store.memo.get_many([prefix + name for prefix in (last, failed) for name in names])
        self._never_failed.update(name for name in names if not found.get(failed + name))
        return {
            name: Past(
                msgspec.msgpack.decode(data, type=LastRun) if (data := found.get(last + name)) else None,
                found.get(failed + name, b"").decode(),
            )
            for name in names
        }

    def ran(self, name: str, seen: dict[str, str], reads: tuple[str, ...] | None, usage: Usage) -> None:
        self.durations_s[name] = usage.wall_s
        self._known.add(name)
        self._changed = True
        needs = noteworthy(usage)
        if needs != self.needs.get(name):
            self._needs_changed = True
            if needs is None:
                del self.needs[name]
            else:
                self.needs[name] = needs
        if name in self._never_failed:
            self._never_failed.remove(name)
        elif self.failure(name):
            self._store.memo.put(f"failed/{self._workspace}/{name}", b"")
        data = msgspec.msgpack.encode(LastRun(seen, reads))
        self._store.memo.put(f"last/{self._workspace}/{name}", data)

    def failed(self, name: str, message: str) -> None:
        """Remember why the action failed until it succeeds."""
        self._never_failed.discard(name)
        self._known.add(name)
        self._store.memo.put(f"failed/{self._workspace}/{name}", message.encode())

    def failure(self, name: str) -> str:
        """Why the last run of the action failed; "" where it succeeded, or never ran."""
        return (self._store.memo.get(f"failed/{self._workspace}/{name}") or b"").decode()

    def reads(self, first_level_key: str) -> list[tuple[str, ...]]:
        """The sets of paths that runs under this first-level key read, the latest first."""
        return self.reads_many([first_level_key])[first_level_key]

    def reads_many(self, first_level_keys: Sequence[str]) -> dict[str, list[tuple[str, ...]]]:
        """`reads` for many keys at once."""
        found = self._store.memo.get_many([f"reads/{key}" for key in first_level_keys])
        return {
            key: msgspec.msgpack.decode(data, type=list[tuple[str, ...]]) if (data := found.get(f"reads/{key}")) else []
            for key in first_level_keys
        }

    def add_reads(self, first_level_key: str, reads: tuple[str, ...]) -> None:
        known = self.reads(first_level_key)
        if known[:1] != [reads]:
            kept = [reads, *(other for other in known if other != reads)][:_MOST_READ_SETS]
            self._store.memo.put(f"reads/{first_level_key}", msgspec.msgpack.encode(kept))

    def close(self) -> None:
        """Save, and keep nothing in memory: of very many actions it is much."""
        self.save()
        for known in (self.durations_s, self.needs, self._never_failed, self._known):
            known.clear()

    def save(self) -> None:
        if self._changed:
            self._store.memo.put(self._durations_key, msgspec.msgpack.encode(self.durations_s))
            self._changed = False
        if self._needs_changed:
            self._store.memo.put(self._needs_key, msgspec.msgpack.encode(self.needs))
            self._needs_changed = False
