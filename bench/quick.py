"""A quick run for CI: the figures that a gross regression would show in, and whether it does.

It fails only when medians and least figures alike are worse than the guard (`bars.py`), twice in a row: a machine that
is busy with something else makes some runs slow, a regression makes every run slow.
"""

import os
import time
from collections.abc import Callable, Iterable, Sequence

import bars
import graphs
import launches
from measure import Race, Reading
from tools import Ninja


def run(directory: str) -> int:
    """Measure, measure again what failed, and say so. Returns the exit code."""
    start_s = time.monotonic()
    failed: list[Reading] = []
    for name, measure in (("launches", launching), ("graphs", building)):
        failed += tried(measure, os.path.join(directory, name))
    print(f"it took {time.monotonic() - start_s:.0f} s")
    for reading in failed:
        bar = bars.by_name(reading.bar)
        assert reading.value is not None
        assert bar.guard is not None
        print(f"grossly worse than it was: {bar.what}: {bar.text(reading.value)}, guard {bar.text(bar.guard)}")
    if failed:
        print("hint: bench/run.py --profile says where the time goes; the guards stand in bench/bars.py")
    return 1 if failed else 0


def tried(measure: Callable[[str], Iterable[Race]], directory: str) -> Sequence[Reading]:
    """The readings that failed twice. `measure` is given a directory that does not exist yet."""
    bad: list[Reading] = []
    for attempt in (1, 2):
        readings = [reading for race in measure(f"{directory}-{attempt}") for reading in race.readings]
        again = {reading.bar for reading in bad}
        bad = [reading for reading in bars.passed(readings) if attempt == 1 or reading.bar in again]
        for reading in readings:
            print(line(reading), flush=True)
        if not bad:
            return []
        print("once more" if attempt == 1 else "and again", flush=True)
    return bad


def line(reading: Reading) -> str:
    """One figure beside its bar and its guard."""
    bar = bars.by_name(reading.bar)
    if reading.value is None:
        return f"  {bar.name:<12} {reading.note or 'lost in noise'}"
    least = "" if reading.least is None else bar.text(reading.least)
    guard = "none" if bar.guard is None else bar.text(bar.guard)
    figures = f"{bar.text(reading.value):>8}  of least figures {least:>8}"
    return f"  {bar.name:<12} {figures}  bar {bar.text(bar.bar):>7}  guard {guard:>7}"


def launching(directory: str) -> Iterable[Race]:
    """Launches with nothing and with 200 inputs."""
    os.mkdir(directory)
    with launches.Worker("direct", directory) as worker:
        yield launches.plain(worker, 25)
        yield launches.staged(directory, worker, 200, 7)


def building(directory: str) -> Iterable[Race]:
    """Clean, null and edited, at a size that a minute has room for. The readings are those of 1,000 targets."""
    graph = graphs.Graph(directory, bars.QUICK_TARGETS, (Ninja,))
    graph.write()
    for measure, runs in ((_clean, 2), (graphs.null, 5), (graphs.edit, 4)):
        race = measure(graph, runs)
        renamed = (reading._replace(bar=f"{reading.bar.partition('-')[0]}-1000") for reading in race.readings)
        yield race._replace(readings=tuple(renamed))


def _clean(graph: graphs.Graph, runs: int) -> Race:
    return graphs.clean(graph, runs, fresh=False)
