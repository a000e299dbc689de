"""Profiles: where bldr's own time goes, in a clean build, in a null build and its imports, and in a launch."""

import json
import os
import pstats
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import peers
from launches import Worker
from measure import run_command, timed_env
from table import duration
from tools import Bldr

_MOST_LINES = 25
_PACKAGES = re.compile(r".*/(bldr(?:_\w+)?)/(\w+)(?:\.py|/)")
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|( *)(\S+)")

_CALL = re.compile(r"\s*(\d+)\s+(\w+)")
_PROFILED = """
import cProfile, os, sys
from bldr.cli.main import main
file = sys.argv.pop(1)
profiler = cProfile.Profile()
code = profiler.runcall(main, sys.argv[1:])
profiler.dump_stats(file)
os._exit(code)
"""
"""The command as `run_process` runs it, which leaves no time for a profiler to write anything."""


class Cost(NamedTuple):
    """Time spent in one part itself, without what it calls, and the number of calls."""

    part: str
    seconds: float
    calls: int


def run(directory: str, *, targets: int) -> str:
    """Profile both kinds of build of one graph, the imports of the null build, and launches."""
    graph = Bldr(os.path.join(directory, "graph"), targets)
    graph.write()
    size = f"{graph.targets:,}"
    clean = _profile(graph, directory, "--events", os.path.join(directory, "events"))
    slots = busy_share(_events(directory), os.cpu_count() or 1)
    graph.build()  # a build without `--events`, for the next one to be null
    null = _profile(graph, directory)
    text = [
        "What is written in C stands by its name. The profiler makes Python dearer than it is: read shares, not times.",
        _table(f"clean build of {size} actions, the process `bldr` alone", clean),
        f"\n  actions kept the slots busy for {slots:.0%} of the time from the first start to the last end",
        _table(f"null build of {size} targets", null),
        _import_table(_imports(graph)),
        _launch_table(directory),
    ]
    return "\n".join(text)


def busy_share(events: Iterable[Mapping[str, Any]], slots: int) -> float:
    """The part of the slots' time, from the first start to the last end, in which an action's process ran."""
    listed = list(events)
    started = [event["time_s"] for event in listed if event["event"] == "action_started"]
    ended = [event for event in listed if event["event"] == "action_finished" and not event["cached"]]
    if not started or not ended:
        return 0.0
    whole_s = max(event["time_s"] for event in ended) - min(started)
    return float(sum(event["duration_s"] for event in ended)) / (whole_s * slots) if whole_s > 0 else 0.0


def calls_of(text: str) -> dict[str, int]:
    """How often every system call was made, from what `strace -c` prints."""
    found = {}
    for line in text.splitlines():
        match = _CALL.fullmatch(line.rstrip())
        if match and match[2] != "total":
            found[match[2]] = int(match[1])
    return found


def _launch_table(directory: str) -> str:
    """The parts of a launch as the engine sees them, and the system calls of everybody in it."""
    with Worker("direct", directory) as worker:
        worker.do("launch 20")
        start_s, end_s = worker.steps(100)
    lines = [f"\na launch of `true`: {duration(start_s + end_s)}\n"]
    lines += [f"  {duration(start_s):>9}  the engine compiles the spec and hands it over"]
    lines += [f"  {duration(end_s):>9}  the launcher runs it, until the engine has heard of its end"]
    strace = peers.find("strace")
    if not strace:
        return "\n".join([*lines, "\n  system calls: skipped, strace is not here (apt-get install strace)"])
    few, many = (_traced(directory, strace, number) for number in (10, 60))
    calls = {name: (count - few.get(name, 0)) / 50 for name, count in many.items()}
    total = sum(calls.values())
    lines.append(f"\n  {total:.0f} system calls in it, of the launcher, pid 1 and the command; the most frequent:\n")
    lines += [
        f"  {count:6.1f}  {name}" for name, count in sorted(calls.items(), key=lambda item: -item[1])[:_MOST_LINES]
    ]
    return "\n".join(lines)


def _traced(directory: str, strace: str, number: int) -> dict[str, int]:
    file = os.path.join(directory, f"calls-{number}")
    with Worker("direct", directory, under=(strace, "-f", "-c", "-U", "calls,name", "-o", file)) as worker:
        worker.do(f"launch {number}")
    with open(file, encoding="utf-8") as calls:
        return calls_of(calls.read())


def by_part(stats: pstats.Stats) -> list[Cost]:
    """Own time by folder of bldr, by module of others, and by name of what is written in C; the dearest first."""
    seconds: dict[str, float] = defaultdict(float)
    calls: dict[str, int] = defaultdict(int)
    for (file, _, function), (_, count, own_s, _, _) in stats.stats.items():  # type: ignore[attr-defined]
        part = part_of(file, function)
        seconds[part] += own_s
        calls[part] += count
    found = [Cost(part, seconds[part], calls[part]) for part in seconds]
    return sorted(found, key=lambda cost: -cost.seconds)


def part_of(file: str, function: str) -> str:
    """`bldr/store`, `bldr_linux/compile`, `json`, or the name of a function that is written in C."""
    if file == "~":
        return function.strip("<>").replace("built-in method ", "")
    match = _PACKAGES.match(file)
    if match:
        return f"{match[1]}/{match[2]}"
    if file.startswith("<frozen"):
        return "imports"
    return os.path.basename(os.path.dirname(file) if file.endswith("__init__.py") else file).removesuffix(".py")


def imports_of(text: str) -> list[tuple[str, float]]:
    """What importing each outermost module took, inner ones included, the dearest first."""
    found: dict[str, float] = defaultdict(float)
    for line in text.splitlines():
        match = _IMPORT.match(line)
        if match and not match[4].startswith(("encodings", "_frozen")):
            found[match[4]] += int(match[1]) / 1e6
    tops: dict[str, float] = defaultdict(float)
    for name, own_s in found.items():
        parts = name.split(".")
        tops[".".join(parts[:2]) if parts[0].startswith("bldr") else parts[0]] += own_s
    return sorted(tops.items(), key=lambda item: -item[1])


def _profile(graph: Bldr, directory: str, *options: str) -> list[Cost]:
    file = os.path.join(directory, "profile")
    argv = [sys.executable, "-c", _PROFILED, file, *graph.argv()[1:], *options]
    run_command(argv, graph.directory, graph.output)
    return by_part(pstats.Stats(file))


def _events(directory: str) -> Iterator[Mapping[str, Any]]:
    with open(os.path.join(directory, "events"), encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _imports(graph: Bldr) -> list[tuple[str, float]]:
    argv = [sys.executable, "-X", "importtime", "-m", "bldr", *graph.argv()[1:]]
    done = subprocess.run(argv, cwd=graph.directory, env=timed_env(), capture_output=True, text=True, check=True)
    return imports_of(done.stderr)


def _table(title: str, costs: Iterable[Cost]) -> str:
    listed = list(costs)
    total_s = sum(cost.seconds for cost in listed)
    lines = [f"\n{title}: {duration(total_s)} under the profiler\n"]
    for cost in listed[:_MOST_LINES]:
        lines.append(f"  {cost.seconds / total_s:6.1%} {duration(cost.seconds):>9} {cost.calls:>9,} calls  {cost.part}")
    return "\n".join(lines)


def _import_table(imports: list[tuple[str, float]]) -> str:
    lines = [f"\nimports of a null build: {duration(sum(seconds for _, seconds in imports))}\n"]
    lines += [f"  {duration(seconds):>9}  {name}" for name, seconds in imports[:_MOST_LINES]]
    return "\n".join(lines)
