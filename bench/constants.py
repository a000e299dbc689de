"""Constants: what a target, a launch and an input cost, from the races of a whole run, for docs/concepts/scale.md."""

from collections.abc import Sequence
from typing import NamedTuple

import table
from graphs import FRESH, OURS
from launches import NEW
from launches import OURS as LAUNCH
from measure import Race


class Constant(NamedTuple):
    """A cost: what it is of, and between which two races it is the slope (or which one it is taken from)."""

    symbol: str
    what: str
    cost: str
    source: str


def constants(races: Sequence[Race]) -> list[Constant]:
    """Whatever can be told from these races."""
    found = []
    for symbol, what, name, small, large in _SLOPES:
        figures = [_least(races, title, name) for _, title in (small, large)]
        if None not in figures and figures[0] is not None and figures[1] is not None:
            slope_s = (figures[1] - figures[0]) / (large[0] - small[0])
            found.append(Constant(symbol, what, _text(slope_s), f"{small[1]} and {large[1]}"))
    for symbol, what, name, count, title in _SINGLE:
        taken_s = _least(races, title, name)
        if taken_s is not None:
            found.append(Constant(symbol, what, _text(taken_s / count), title))
    peaks = [(count, _peak(races, title)) for count, title in _CLEAN]
    if all(peak for _, peak in peaks):
        (few, low), (many, high) = peaks
        found.append(Constant("m", "memory, a target", f"{(high - low) / (many - few) / 1024:.1f} KiB", _CLEAN_SOURCE))
    return found


def markdown(found: Sequence[Constant]) -> str:
    """The table of the document."""
    lines = [("", "cost of", "measured", "from"), *((f"`{c.symbol}`", c.what, c.cost, c.source) for c in found)]
    return table.aligned(lines, words=(0, 1, 3))


_CLEAN = ((1000, "clean build of 1,000 actions"), (10_000, "clean build of 10,000 actions"))
_CLEAN_SOURCE = f"{_CLEAN[0][1]} and {_CLEAN[1][1]}, peaks"
_NULL = ((1000, "null build of 1,000 targets"), (10_000, "null build of 10,000 targets"))
_EDIT = ((1000, "one source of 1,000 edited"), (10_000, "one source of 10,000 edited"))
_INPUTS = ((200, "launch of `true` with 200 inputs"), (2000, "launch of `true` with 2,000 inputs"))
_SLOPES = (
    ("n", "a target of a null build", OURS, *_NULL),
    ("g", "a target of a build in which one was edited", OURS, *_EDIT),
    ("a", "a tiny action of a clean build, all slots together", OURS, *_CLEAN),
    ("i", "a staged input", NEW, *_INPUTS),
)
_SINGLE = (
    ("l", "a launch of `true`, one after the other", LAUNCH, 1, "launch of `true`"),
    ("c", "a target from the cache into a fresh checkout", FRESH, 10_000, "clean build of 10,000 actions"),
    ("s", "starting at all: a null build of one target", "null build, one target", 1, "start-up"),
)


def _least(races: Sequence[Race], title: str, name: str) -> float | None:
    return next((row.least_s for race in races if race.title == title for row in race.rows if row.name == name), None)


def _peak(races: Sequence[Race], title: str) -> int:
    rows = (row for race in races if race.title == title for row in race.rows if row.name == OURS)
    return next((row.memory_bytes or 0 for row in rows), 0)


def _text(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} us" if seconds < 1e-3 else table.duration(seconds)
