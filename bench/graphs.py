"""Graphs of many tiny actions: clean, null and after an edit, for us and for build tools that have no sandbox.

What takes long is made once: a graph of 100,000 that was built clean (`--full`) stays in the benchmark's own directory,
and later runs measure its null build and its edit, as long as bldr still believes the results.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence

import peers
from measure import FIGURES, CommandFailedError, Contender, Race, Reading, Skipped, race, run_command
from tools import DEPTH, Bazel, Bldr, Doit, Make, Ninja, Scons, Tool, Tup
from watching import Watch

OURS = "bldr --hermetic"
FRESH = "bldr, from its cache into a fresh checkout"
WATCHED = "bldr, while `bldr watch` runs"
PASS = "python -c pass"
KEPT_TARGETS = 100_000


class Graph:
    """One graph below `directory`, described to every tool that is here and to bldr."""

    def __init__(self, directory: str, targets: int, kinds: Sequence[type[Tool]]) -> None:
        self.targets = targets
        self.directory = directory
        self.absent = [peers.absent(kind.name, kind.program) for kind in kinds if not peers.find(kind.program)]
        self.peers = [kind(directory, targets) for kind in kinds if peers.find(kind.program)]
        self.bldr = Bldr(directory, targets)

    @property
    def tools(self) -> tuple[Tool, ...]:
        return (*self.peers, self.bldr)

    def write(self) -> None:
        """Describe the graph to everybody. A peer that does not build a small one here is absent."""
        for tool in list(self.peers):
            trial = type(tool)(f"{self.directory}-trial", DEPTH)
            try:
                trial.write()
                trial.build()
            except CommandFailedError as error:
                self.peers.remove(tool)
                self.absent.append(Skipped(tool.name, f"find out why it does not work: {error}"))
            finally:
                trial.close()
        shutil.rmtree(f"{self.directory}-trial", ignore_errors=True)
        for tool in self.tools:
            tool.write()

    def contenders(self, prepare: Callable[[Tool], Callable[[], object]]) -> list[Contender | Skipped]:
        """Everybody, with what has to be done before every run."""
        found: list[Contender | Skipped] = [Contender(tool.name, tool.build, prepare(tool)) for tool in self.peers]
        return [*found, *self.absent, Contender(OURS, self.bldr.build, prepare(self.bldr))]

    def close(self) -> None:
        for tool in self.tools:
            tool.close()


def clean(graph: Graph, runs: int, *, fresh: bool) -> Race:
    """Clean builds; with `fresh` also everything from the cache.

    The first turn has us clean before us from the cache, and no later one empties the cache in between.
    """
    contenders = graph.contenders(lambda tool: tool.forget)
    if fresh:
        checkout = graph.bldr.fresh()
        contenders.append(Contender(FRESH, checkout.build, checkout.prepare))
    found = race(f"clean build of {graph.targets:,} actions", contenders, runs, warm_up=0)
    if graph.targets >= KEPT_TARGETS:
        return found
    return found.read(found.reading(f"clean-{graph.targets}", OURS, "ninja"))


def null(graph: Graph, runs: int) -> Race:
    """Null builds."""
    contenders = graph.contenders(lambda _tool: _nothing)
    contenders.append(Contender(PASS, lambda: run_command([sys.executable, "-c", "pass"])))
    found = race(f"null build of {graph.targets:,} targets", contenders, runs)
    return found.read(found.reading(f"null-{graph.targets}", OURS, PASS if graph.targets <= 1000 else "ninja"))


def watched(graph: Graph, runs: int) -> Race:
    """Null builds while `bldr watch` runs."""
    with Watch(graph.bldr) as watch:
        contenders = [Contender(PASS, lambda: run_command([sys.executable, "-c", "pass"])), watch.contender(WATCHED)]
        found = race(f"null build of {graph.targets:,} targets while `bldr watch` runs", contenders, runs)
    return found.read(_milliseconds(found, f"watch-{graph.targets}", WATCHED))


def edit(graph: Graph, runs: int) -> Race:
    """Builds after an edit of one source."""
    found = race(f"one source of {graph.targets:,} edited", graph.contenders(lambda tool: tool.edit), runs)
    if graph.targets >= KEPT_TARGETS:
        return found
    return found.read(found.reading(f"edit-{graph.targets}", OURS, "ninja"))


def edited_and_watched(graph: Graph, runs: int) -> Race:
    """Builds after an edit of one source while `bldr watch` runs, beside ninja's."""
    with Watch(graph.bldr) as watch:
        ninja = [Contender(tool.name, tool.build, tool.edit) for tool in graph.peers if tool.name == "ninja"]
        contenders = [*ninja, watch.contender(WATCHED, edited=True)]
        title = f"one source of {graph.targets:,} edited while `bldr watch` runs"
        found = race(title, contenders, runs)
    return found.read(found.reading(f"watch-edit-{graph.targets}", WATCHED, "ninja"))


def run(directory: str, *, full: bool, runs: int, sizes: Sequence[int]) -> Iterator[Race]:
    """Clean, null and edit-one builds of every size, and what grew."""
    found: dict[tuple[str, int], Race] = {}
    for targets in sizes:
        graph = _open(directory, targets, full=full)
        if isinstance(graph, Race):
            yield graph
            continue
        try:
            if targets < KEPT_TARGETS or full:
                found["clean", targets] = clean(graph, _clean_runs(targets, runs), fresh=targets == 10_000)
                yield _with_cached(found["clean", targets])
            for name, measure in (("null", null), ("watched", watched), ("edit", edit)):
                found[name, targets] = measure(graph, runs if targets < KEPT_TARGETS else min(runs, 5))
                yield found[name, targets]
            if targets < KEPT_TARGETS:
                yield edited_and_watched(graph, runs)
            if targets >= 10_000:
                yield Race(f"memory at {targets:,} targets", (), (), (_memory(found, targets),))
        finally:
            graph.close()
    yield Race("growth from 10,000 to 100,000 targets", (), (), _growths(found))


def bazel(directory: str, *, runs: int) -> Iterator[Race]:
    """Clean builds of 1,000 actions in Bazel's sandbox and in ours."""
    graph = Graph(os.path.join(directory, "bazel"), 1000, (Ninja, Bazel))
    graph.write()
    try:
        for tool in graph.peers:
            tool.build()  # starts the server, whose start is not to be timed
        found = race("clean sandboxed build of 1,000 actions", graph.contenders(lambda tool: tool.forget), runs, 0)
        yield found.read(found.reading("clean-bazel", OURS, "bazel"))
        found = race("null build of 1,000 targets, Bazel's server warm", graph.contenders(lambda _tool: _nothing), 5)
        yield found
    finally:
        graph.close()


def _open(directory: str, targets: int, *, full: bool) -> Graph | Race:
    """The graph of one size, ready to be built; or, for one that is kept and is not there, why it is left out."""
    if targets < KEPT_TARGETS:
        kinds: tuple[type[Tool], ...] = (Ninja, Make) if targets > 1000 else (Ninja, Make, Tup, Doit, Scons)
        graph = Graph(os.path.join(directory, str(targets)), targets, kinds)
        graph.write()
        return graph
    kept = os.path.join(peers.own_directory(), f"graph-{targets}")
    graph = Graph(kept, targets, (Ninja,))
    if full:
        shutil.rmtree(kept, ignore_errors=True)
        graph.write()
        return graph
    reason = _why_not(graph)
    if not reason:
        return graph
    readings = [Reading(bar, None, None, reason) for bar in _KEPT_BARS]
    return Race(f"{targets:,} targets", (), (Skipped(f"all of it: {reason}", _FULL),), tuple(readings))


_FULL = "bench/run.py --full builds it, which takes minutes"
_KEPT_BARS = ("null-100000", "watch-100000", "memory-100000", "growth-null", "growth-edit", "growth-clean")


def _why_not(graph: Graph) -> str:
    """Why a kept graph cannot be measured; "" where it was built, and bldr still knows that nothing is to be done."""
    if not os.path.isdir(graph.bldr.path("bldr-out")):
        return "no built graph is kept"
    try:
        for tool in graph.tools:
            program, *words = tool.argv()
            run_command([shutil.which("timeout") or "timeout", "120", program, *words], tool.directory, tool.output)
    except CommandFailedError:
        return "the kept graph does not build in a short time"
    with open(graph.bldr.output, encoding="utf-8") as file:
        return "" if " 0 ran" in file.read() else "what bldr kept of the graph is not believed any more"


def _with_cached(found: Race) -> Race:
    return found.read(found.reading("cached-10000", FRESH, "ninja")) if found.row(FRESH) else found


def _milliseconds(found: Race, bar: str, name: str) -> Reading:
    row = found.row(name)
    if row is None:
        return Reading(bar, None, None, f"not here: {name}")
    return Reading(bar, row.median_s * 1000, row.least_s * 1000)


def _memory(found: dict[tuple[str, int], Race], targets: int) -> Reading:
    """The highest peak of any of our builds of this size."""
    rows = [race.row(OURS) for (_, size), race in found.items() if size == targets]
    peaks = [row.memory_bytes / 1e6 for row in rows if row is not None and row.memory_bytes is not None]
    note = "" if ("clean", targets) in found else "without a clean build"
    return Reading(f"memory-{targets}", max(peaks, default=None), max(peaks, default=None), note)


def _growths(found: dict[tuple[str, int], Race]) -> tuple[Reading, ...]:
    return tuple(growth(f"growth-{what}", found.get((what, 10_000)), found.get((what, KEPT_TARGETS)))
                 for what in ("null", "edit", "clean"))  # fmt: skip


def growth(bar: str, small: Race | None, large: Race | None) -> Reading:
    """How many times ninja's growth ours is."""
    rows = [race.row(name) for race in (large, small) if race for name in (OURS, "ninja")]
    known = [row for row in rows if row is not None]
    if len(known) < 4:
        return Reading(bar, None, None, "not measured at both sizes")
    values = []
    for figure in FIGURES:
        ours_large, ninja_large, ours_small, ninja_small = map(figure, known)
        values.append(ours_large / ours_small / (ninja_large / ninja_small))
    return Reading(bar, values[0], values[1])


def _clean_runs(targets: int, runs: int) -> int:
    return max(2, runs // 3) if targets <= 1000 else 1


def _nothing() -> None:
    """Before a null build."""
