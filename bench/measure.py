"""Measurement: contenders take turns in one run (A B C A B C ...), so that whatever else the machine does hits all of
them alike. Absolute times are this machine's, ratios are what to quote."""

import os
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

PATIENCE_S = 25.0
"""A race begins no turn after so many seconds, once everybody had one: a whole run takes ten minutes on a machine that
is not busy, and on a busy one gets fewer figures rather than no end."""


class Sample(NamedTuple):
    """One run. `cpu_s` and `memory_bytes` are None where they cannot be told."""

    wall_s: float
    cpu_s: float | None = None
    memory_bytes: int | None = None


def _nothing() -> None:
    """What most contenders need before a run."""


class Contender(NamedTuple):
    """Somebody in the race: `prepare` is called before every run and is not timed, `run` does it once."""

    name: str
    run: Callable[[], Sample]
    prepare: Callable[[], object] = _nothing


class Skipped(NamedTuple):
    """A contender that is not on this machine, and what to do to have it."""

    name: str
    install: str


class Row(NamedTuple):
    """What came of one contender; `ratio` is to the reference of the same run."""

    name: str
    runs: int
    median_s: float
    least_s: float
    ratio: float
    cpu_s: float | None
    memory_bytes: int | None


class Reading(NamedTuple):
    """The figure of one bar (`bars.py`): from medians, and the same from the least figures of everybody.

    Both are None where a contender that it needs is absent; then `note` says which.
    """

    bar: str
    value: float | None
    least: float | None
    note: str = ""


class Race(NamedTuple):
    """One question, asked of all contenders in one interleaved run."""

    title: str
    rows: tuple[Row, ...]
    skipped: tuple[Skipped, ...] = ()
    readings: tuple[Reading, ...] = ()

    def row(self, name: str) -> Row | None:
        """What came of one contender; None where it was not there."""
        return next((row for row in self.rows if row.name == name), None)

    def reading(self, bar: str, ours: str, theirs: str, above: str = "") -> Reading:
        """How many times `theirs` `ours` takes; with `above` that contender's time is taken off both before."""
        rows = {row.name: row for row in self.rows}
        absent = [name for name in (ours, theirs, above) if name and name not in rows]
        if absent:
            return Reading(bar, None, None, f"not here: {', '.join(absent)}")
        value, least = (_ratio(figure, rows[ours], rows[theirs], rows.get(above)) for figure in FIGURES)
        return Reading(bar, value, least)

    def read(self, *readings: Reading) -> "Race":
        """The same race, with what it says of bars."""
        return self._replace(readings=(*self.readings, *readings))


class CommandFailedError(Exception):
    """A timed command did not succeed: its time would mean nothing."""


def race(title: str, contenders: Sequence[Contender | Skipped], runs: int, warm_up: int = 1) -> Race:
    """Run everybody in turns, `runs` at most (see `PATIENCE_S`). The first contender that is there is the reference of
    the ratios.

    The order is turned round every other time: nobody always runs in the wake of the same predecessor.
    """
    present = [contender for contender in contenders if isinstance(contender, Contender)]
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in present}
    start_s = time.monotonic()
    for turn in range(-warm_up, runs):
        if turn > 0 and time.monotonic() - start_s > PATIENCE_S:
            break
        for contender in present if turn % 2 == 0 else reversed(present):
            contender.prepare()
            sample = contender.run()
            if turn >= 0:
                samples[contender.name].append(sample)
    absent = tuple(contender for contender in contenders if isinstance(contender, Skipped))
    return Race(title, summarize(samples), absent)


def summarize(samples: Mapping[str, Sequence[Sample]]) -> tuple[Row, ...]:
    """Medians, and ratios of medians to the first."""
    rows: list[Row] = []
    for name, found in samples.items():
        median_s = statistics.median(sample.wall_s for sample in found)
        cpu = [sample.cpu_s for sample in found if sample.cpu_s is not None]
        memory = [sample.memory_bytes for sample in found if sample.memory_bytes is not None]
        rows.append(
            Row(
                name=name,
                runs=len(found),
                median_s=median_s,
                least_s=min(sample.wall_s for sample in found),
                ratio=median_s / rows[0].median_s if rows else 1.0,
                cpu_s=statistics.median(cpu) if cpu else None,
                memory_bytes=max(memory) if memory else None,
            )
        )
    return tuple(rows)


def median_of(row: Row) -> float:
    return row.median_s


def least_of(row: Row) -> float:
    return row.least_s


FIGURES = (median_of, least_of)


def _ratio(figure: Callable[[Row], float], ours: Row, theirs: Row, above: Row | None) -> float | None:
    """None where nothing is left of theirs: noise took more than there is to measure."""
    above_s = figure(above) if above else 0.0
    left_s = figure(theirs) - above_s
    return max(0.0, figure(ours) - above_s) / left_s if left_s > 0 else None


def timed_env() -> dict[str, str]:
    """The environment of everything that is timed: little of ours, and nothing that keeps byte code from being kept."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "PATH", "TMPDIR", "USER") if name in os.environ}
    return {"PATH": os.defpath, **kept}


def run_command(argv: Sequence[str], directory: str = "", output: str = os.devnull) -> Sample:
    """Start a command, wait for it, and say what it took, children included. Raises CommandFailedError.

    `argv[0]` is a path. The output of the command goes to the file `output`.
    """
    if directory:
        os.chdir(directory)  # posix_spawn cannot, and anything between would be timed
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    env = timed_env()
    start_s = time.perf_counter()
    pid = os.posix_spawn(argv[0], list(argv), env, file_actions=actions)
    _, status, used = os.wait4(pid, 0)
    wall_s = time.perf_counter() - start_s
    if status:
        raise CommandFailedError(f"exit code {os.waitstatus_to_exitcode(status)} of: {' '.join(argv)}")
    # What posix_spawn starts has our own peak for a floor (the kernel carries it over at exec): below it nothing shows.
    own_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    memory_bytes = used.ru_maxrss << 10 if used.ru_maxrss > own_kib else None
    return Sample(wall_s, used.ru_utime + used.ru_stime, memory_bytes)
