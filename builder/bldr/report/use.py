"""What actions used, for people: a table of one action's limits, and those of a build that used most."""

from collections.abc import Sequence
from typing import Protocol

from bldr.api.events import ActionFinished
from bldr.api.sandbox import Level
from bldr.report.text import duration, sanitize, size

SHOWN_ACTIONS = 5
"""How many of the actions that used most are named."""


class LimitUse(Protocol):
    """One limit of an action, and how far it was used: None where nobody counted."""

    @property
    def limit(self) -> str: ...

    @property
    def used(self) -> float | None: ...

    @property
    def of(self) -> float: ...

    @property
    def unit(self) -> str: ...

    @property
    def level(self) -> Level: ...


def use_table(uses: Sequence[LimitUse]) -> list[str]:
    """Aligned lines with a head, or none where there was no limit."""
    if not uses:
        return []
    rows = [("limit", "used", "of", "share", "enforced by")]
    for use in uses:
        used = "-" if use.used is None else _quantity(use.used, use.unit)
        share = "-" if use.used is None else _share(use.used, use.of)
        rows.append((use.limit, used, _quantity(use.of, use.unit), share, _enforcer(use.level)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}  {row[4]}"
        for row in rows
    ]


def _quantity(value: float, unit: str) -> str:
    if unit == "bytes":
        return size(value)
    return duration(value) if unit == "s" else f"{value:g}"


def _share(used: float, of: float) -> str:
    percent = 100 * used / of
    return f"{percent:.0f}%" if percent >= 1 or not percent else "<1%"


def _enforcer(level: Level) -> str:
    return {Level.KERNEL: "kernel", Level.SUPERVISED: "supervision", Level.NONE: "nobody"}[level]


class MostUse:
    """Owns the use of every action of a build that ran."""

    def __init__(self) -> None:
        self._memory: list[tuple[int, str]] = []
        self._cpu: list[tuple[float, str]] = []
        self._changes: list[tuple[float, int]] = []

    def add(self, event: ActionFinished, title: str) -> None:
        """Take an action in; what came from the cache used nothing now."""
        if event.cached:
            return
        peak_bytes, cpu_s = event.usage.memory_peak_bytes, event.usage.cpu_s
        if cpu_s is not None:
            self._cpu.append((cpu_s, title))
        if peak_bytes is not None:
            self._memory.append((peak_bytes, title))
            self._changes += [(event.started_s, peak_bytes), (event.time_s, -peak_bytes)]

    def peak_bytes(self) -> int:
        """The most memory that actions can have had at one time: the sum of the peaks of those that overlap."""
        now_bytes = most_bytes = 0
        for _, change_bytes in sorted(self._changes):
            now_bytes += change_bytes
            most_bytes = max(most_bytes, now_bytes)
        return most_bytes

    def lines(self) -> list[str]:
        """The actions that used most, largest first; nothing where nobody counted."""
        lines = []
        if self._memory:
            most = sorted(self._memory, key=lambda pair: -pair[0])[:SHOWN_ACTIONS]
            lines += ["most memory:", *(f"  {size(used):>10}  {_in_one_line(title)}" for used, title in most)]
        if self._cpu:
            longest = sorted(self._cpu, key=lambda pair: -pair[0])[:SHOWN_ACTIONS]
            lines += ["most CPU time:", *(f"  {duration(used):>10}  {_in_one_line(title)}" for used, title in longest)]
        if self._memory:
            lines.append(f"memory of actions at one time: {size(self.peak_bytes())} at most")
        return lines


def _in_one_line(title: str) -> str:
    return sanitize(title).replace("\n", " ")
