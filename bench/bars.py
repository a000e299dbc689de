"""Bars: what is to be reached, as ratios of one interleaved run, and what a quick run does not let pass.

The one place to change when a bar is reached, or a figure that was recorded got better.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from measure import Reading


class Bar(NamedTuple):
    """One row: `what` is measured, at most `bar` is to be reached (at least, where `at_least`).

    `guard` fails a quick run: twice the bar, or twice the last honest figure where the bar is not reached. A quick run
    measures graphs of `QUICK_TARGETS`. None: quick runs do not measure it.
    """

    name: str
    what: str
    bar: float
    unit: Literal["x", "ms", "MB"] = "x"
    at_least: bool = False
    guard: float | None = None

    def holds(self, value: float, bound: float | None = None) -> bool:
        """Whether a figure is within the bar, or within another bound of its kind."""
        limit = self.bar if bound is None else bound
        return value >= limit if self.at_least else value <= limit

    def text(self, value: float) -> str:
        """A figure of this bar, in its unit."""
        return f"{value:.3g} x" if self.unit == "x" else f"{value:.0f} {self.unit}"


QUICK_TARGETS = 300

BARS = (
    Bar("launch", "launch of `true`: cost above a plain spawn, to that of `bwrap --unshare-all`", 0.45, guard=0.9),
    Bar("launch-200", "the same with 200 staged inputs, to a bind for each", 0.06, guard=0.15),
    Bar("launch-2000", "the same with 2,000 staged inputs", 0.01),
    Bar("launch-big-host", "a launch from a host process with 500 MB and 8 threads, to one from a small one", 1.10),
    Bar("launch-two", "launches per second of two launchers on two cores, to those of one", 1.7, at_least=True),
    Bar("launch-two-held", "the same, each launcher held on one core", 1.7, at_least=True),
    Bar("null-1000", "null build of 1,000 targets, to `python -c pass`", 4.0, guard=8.0),
    Bar("null-10000", "null build of 10,000 targets, to ninja", 0.8),
    Bar("null-100000", "null build of 100,000 targets, to ninja", 0.6),
    Bar("null-files", "null build of as many files as 100,000 targets have, in 1,000 targets, to ninja", 0.6),
    Bar("watch-1000", "null build of 1,000 targets while `bldr watch` runs", 60, "ms"),
    Bar("watch-10000", "null build of 10,000 targets while `bldr watch` runs", 60, "ms"),
    Bar("watch-100000", "null build of 100,000 targets while `bldr watch` runs", 60, "ms"),
    Bar("clean-1000", "clean sandboxed build of 1,000 actions, to ninja without a sandbox", 2.0, guard=5.0),
    Bar("clean-10000", "clean sandboxed build of 10,000 actions, to ninja without a sandbox", 2.0),
    Bar("clean-bazel", "clean sandboxed build of 1,000 actions, to Bazel sandboxed, its server warm", 0.25),
    Bar("edit-1000", "one source of 1,000 edited, to ninja", 1.5, guard=40.0),
    Bar("edit-10000", "one source of 10,000 edited, to ninja", 1.5),
    Bar("watch-edit-1000", "one source of 1,000 edited while `bldr watch` runs, to ninja", 1.5),
    Bar("watch-edit-10000", "one source of 10,000 edited while `bldr watch` runs, to ninja", 1.5),
    Bar("cached-10000", "10,000 targets from the cache into a fresh checkout, to ninja's clean build", 0.1),
    Bar("lua", "Lua, clean, hermetic, to `make` with as many jobs", 1.10),
    Bar("memory-10000", "peak memory of bldr, 10,000 targets", 120, "MB"),
    Bar("memory-100000", "peak memory of bldr, 100,000 targets", 700, "MB"),
    Bar("growth-null", "growth of the null build, 10,000 to 100,000 targets, to ninja's growth", 1.0),
    Bar("growth-edit", "growth of the build after an edit, 10,000 to 100,000 targets, to ninja's growth", 1.0),
    Bar("growth-clean", "growth of the clean build, 10,000 to 100,000 targets, to ninja's growth", 1.0),
)


class Verdict(NamedTuple):
    """One bar beside its figure; `reading` is None where nobody measured it."""

    bar: Bar
    reading: Reading | None

    @property
    def word(self) -> str:
        """`met`, `not met`, or why neither can be said."""
        if self.reading is None:
            return "not measured in this run"
        if self.reading.value is None:
            return f"not measured ({self.reading.note or 'lost in noise'})"
        return "met" if self.bar.holds(self.reading.value) else "not met"


def verdicts(readings: Iterable[Reading]) -> list[Verdict]:
    """Every bar in its order. Raises KeyError for a reading of a bar that is not there."""
    found: dict[str, Reading] = {}
    for reading in readings:
        by_name(reading.bar)
        known = found.get(reading.bar)
        if known is None or known.value is None:  # the first that says something
            found[reading.bar] = reading
    return [Verdict(bar, found.get(bar.name)) for bar in BARS]


def by_name(name: str) -> Bar:
    """The bar `name`. Raises KeyError."""
    return {bar.name: bar for bar in BARS}[name]


def passed(readings: Iterable[Reading]) -> list[Reading]:
    """The readings that a quick run fails for: worse than the guard by medians and by least figures alike.

    Noise makes some runs slower. A regression makes all of them slower, the fastest too.
    """
    bad = []
    for reading in readings:
        bar = by_name(reading.bar)
        figures = [figure for figure in (reading.value, reading.least) if figure is not None]
        if bar.guard is not None and figures and not any(bar.holds(figure, bar.guard) for figure in figures):
            bad.append(reading)
    return bad
