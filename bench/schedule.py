"""Scheduling by simulation: how far a build's length is from the least that its graph and its slots allow.

    bench/schedule.py                                  # the table
    bench/schedule.py --write                          # and put it into docs/performance.md
    bench/schedule.py --record WORKSPACE CACHE FILE    # take a graph with its durations from a build that was done

Policies: actions in the order in which they become ready (FIFO), and the one with the longest remaining path first, as
`bldr.plan.schedule` computes it: from durations of the last build, from such as are off by half, and from what is
guessed where there are none.
"""

import argparse
import heapq
import json
import math
import os
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import table

from bldr.graph.actions import ActionNode
from bldr.plan.schedule import guesses_s, remaining_path_s

_TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RECORDED = os.path.join(_TOP, "bench", "recorded")
BEGIN = "<!-- what follows is written by `bench/schedule.py --write` -->"
END = "<!-- what precedes was written by `bench/schedule.py --write` -->"
_SLOTS = (2, 16, 64)
_HEAD = ("graph", "actions", "slots", "least possible", "FIFO", "longest path", "off by half", "no history")


class Task(NamedTuple):
    """One action: seconds, the indices of those before it (all lower than its own), and the engine's guess."""

    duration_s: float
    deps: tuple[int, ...]
    guess_s: float = 0.1


Graph = Sequence[Task]


def remaining(graph: Graph, known_s: Mapping[int, float]) -> dict[int, float]:
    """The engine's own priorities, for these durations."""
    nodes = [SimpleNamespace(index=index, name=str(index), deps=task.deps) for index, task in enumerate(graph)]
    durations = {str(index): seconds for index, seconds in known_s.items()}
    return remaining_path_s(cast(Sequence[ActionNode], nodes), durations)


def makespan_s(graph: Graph, slots: int, priority: Mapping[int, float] | None) -> float:
    """How long the build takes; without `priority` actions start in the order in which they become ready."""
    missing = [len(task.deps) for task in graph]
    users: list[list[int]] = [[] for _ in graph]
    for index, task in enumerate(graph):
        for dep in task.deps:
            users[dep].append(index)
    first = [index for index, task in enumerate(graph) if not task.deps]
    waiting: deque[int] = deque()
    queue: list[tuple[float, int]] = []

    def add(index: int) -> None:
        if priority is None:
            waiting.append(index)
        else:
            heapq.heappush(queue, (-priority[index], index))

    for index in first:
        add(index)
    running: list[tuple[float, int]] = []
    now_s = 0.0
    while waiting or queue or running:
        while len(running) < slots and (waiting or queue):
            index = waiting.popleft() if priority is None else heapq.heappop(queue)[1]
            heapq.heappush(running, (now_s + graph[index].duration_s, index))
        now_s, done = heapq.heappop(running)
        for user in users[done]:
            missing[user] -= 1
            if not missing[user]:
                add(user)
    return now_s


def bound_s(graph: Graph, slots: int) -> float:
    """No schedule is shorter than the longest chain, than all the work spread over all slots, or than these together:
    what cannot start before some time, spread over all slots from then on; and the same seen from the end."""
    starts_s = [0.0] * len(graph)
    for index, task in enumerate(graph):
        starts_s[index] = max((starts_s[dep] + graph[dep].duration_s for dep in task.deps), default=0.0)
    left_s = remaining(graph, {index: task.duration_s for index, task in enumerate(graph)})
    tails_s = [left_s[index] - task.duration_s for index, task in enumerate(graph)]
    longest_s = max(left_s.values(), default=0.0)
    return max(longest_s, _spread_s(graph, starts_s, slots), _spread_s(graph, tails_s, slots))


def _spread_s(graph: Graph, times_s: Sequence[float], slots: int) -> float:
    """The largest of: some time, and the work of all tasks whose time is not less, spread over the slots."""
    least_s = work_s = 0.0
    for time_s, index in sorted(((time_s, index) for index, time_s in enumerate(times_s)), reverse=True):
        work_s += graph[index].duration_s
        least_s = max(least_s, time_s + work_s / slots)
    return least_s


def compare(graph: Graph, slots: int, seed: int = 1) -> tuple[float, float, float, float, float]:
    """The bound in seconds, and the length under every policy as a multiple of it."""
    noise = random.Random(seed)
    known = {index: task.duration_s for index, task in enumerate(graph)}
    off = {index: seconds * math.exp(noise.gauss(0.0, 0.5)) for index, seconds in known.items()}
    least_s = bound_s(graph, slots)
    guessed = {index: task.guess_s for index, task in enumerate(graph)}
    policies = (None, remaining(graph, known), remaining(graph, off), remaining(graph, guessed))
    fifo, exact, rough, unknown = (makespan_s(graph, slots, priority) / least_s for priority in policies)
    return least_s, fifo, exact, rough, unknown


# Shapes. Durations are log-normal: most actions are short, some are a hundred times as long.


def chains(actions: int, dice: random.Random) -> list[Task]:
    """Chains of ten tiny actions, as `make bench` builds them."""
    return [Task(dice.uniform(0.002, 0.004), (index - 1,) if index % 10 else ()) for index in range(actions)]


def wide(actions: int, dice: random.Random) -> list[Task]:
    """Nothing waits for anything: tests, for example."""
    return [Task(_seconds(dice, 0.5, 1.3), ()) for _ in range(actions)]


def libraries(actions: int, dice: random.Random) -> list[Task]:
    """Libraries of 40 sources on top of each other, every tenth with a generator first; programs, and their tests."""
    graph: list[Task] = []
    archives: list[int] = []
    while len(graph) < actions:
        generated: tuple[int, ...] = ()
        if dice.random() < 0.1:
            graph.append(Task(_seconds(dice, 2.0, 0.8), tuple(dice.sample(archives, min(2, len(archives))))))
            generated = (len(graph) - 1,)
        objects = []
        for _ in range(max(2, round(dice.gauss(40, 15)))):
            graph.append(Task(_seconds(dice, 0.6, 0.9), generated))
            objects.append(len(graph) - 1)
        graph.append(Task(0.05 + 0.002 * len(objects), tuple(objects)))
        archives.append(len(graph) - 1)
        if dice.random() < 0.3:  # a program of this and of what it stands on, and a test of it
            needed = (archives[-1], *dice.sample(archives[:-1], min(5, len(archives) - 1)))
            graph.append(Task(_seconds(dice, 0.8, 0.6), needed))
            graph.append(Task(_seconds(dice, 1.5, 1.2), (len(graph) - 1,)))
    return graph[:actions]


def pipeline(actions: int, dice: random.Random) -> list[Task]:
    """A tool that is built first, sources that it generates, their compilation, and links level by level to one."""
    graph = [Task(_seconds(dice, 1.0, 0.7), (index - 1,) if index else ()) for index in range(12)]
    tool = len(graph) - 1
    level = []
    for _ in range((actions - 12) * 2 // 5):
        graph.append(Task(_seconds(dice, 0.1, 0.7), (tool,)))
        graph.append(Task(_seconds(dice, 0.6, 0.9), (len(graph) - 1,)))
        level.append(len(graph) - 1)
    while len(level) > 1:
        above = []
        for start in range(0, len(level), 8):
            graph.append(Task(0.1 + _seconds(dice, 0.2, 0.8), tuple(level[start : start + 8])))
            above.append(len(graph) - 1)
        level = above
    return graph


def _seconds(dice: random.Random, median_s: float, spread: float) -> float:
    return median_s * math.exp(dice.gauss(0.0, spread))


_SHAPES: tuple[tuple[str, Callable[[int, random.Random], list[Task]]], ...] = (
    ("chains of ten", chains),
    ("all at once", wide),
    ("libraries and programs", libraries),
    ("tool, generated sources, links", pipeline),
)


def graphs() -> Iterator[tuple[str, Graph]]:
    """Everything recorded, and every shape in two sizes; the same in every run."""
    for name in sorted(os.listdir(RECORDED)):
        with open(os.path.join(RECORDED, name), encoding="utf-8") as file:
            yield f"recorded: {name.removesuffix('.json')}", load(file.read())
    for label, shape in _SHAPES:
        for actions in (1000, 100_000):
            yield label, shape(actions, random.Random(f"{label} {actions}"))


def load(text: str) -> list[Task]:
    """A recorded graph: a list of [seconds, [indices], guessed seconds]."""
    return [Task(float(seconds), tuple(deps), float(guess_s)) for seconds, deps, guess_s in json.loads(text)]


def dump(graph: Graph) -> str:
    """What `load` reads, one action a line."""
    lines = [json.dumps([round(task.duration_s, 4), list(task.deps), round(task.guess_s, 4)]) for task in graph]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def record(workspace: str, cache: str, patterns: Sequence[str]) -> list[Task]:
    """The graph of a workspace with the durations that builds in it left in the cache. Tests count."""
    from bldr.execute.history import History
    from bldr.execute.sources import Sources
    from bldr.session import BuildRequest, Session

    request = BuildRequest(command="test", patterns=tuple(patterns), directory=workspace, cache_dir=cache)
    with Session(request) as session:
        plan = session.plan(session.labels(), tests=True)
        durations_s = History(session.store, session.memory).durations_s
        sources = Sources(session.workspace, session.store)
        guessed_s = guesses_s(plan.nodes, sources.size_bytes)
    place = {node.index: index for index, node in enumerate(plan.nodes)}
    unknown = [node.name for node in plan.nodes if node.name not in durations_s]
    if unknown:
        raise SystemExit(f"{len(unknown)} actions have no duration, {unknown[0]} for one: build and test first")
    return [
        Task(durations_s[node.name], tuple(sorted(place[dep] for dep in node.deps)), guessed_s[node.index])
        for node in plan.nodes
    ]


def rows(found: Sequence[tuple[str, Graph]], slots: Sequence[int] = _SLOTS) -> list[Sequence[str]]:
    """One line for each graph and number of slots, with the head first."""
    lines: list[Sequence[str]] = [_HEAD]
    for name, graph in found:
        for number in slots:
            least_s, *multiples = compare(graph, number)
            figures = [f"{multiple:.3f}" for multiple in multiples]
            lines.append((name, f"{len(graph):,}", str(number), table.duration(least_s), *figures))
    return lines


def main() -> int:
    """Simulate, or record. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench/schedule.py", description="simulate the order of actions")
    parser.add_argument("--write", action="store_true", help="write the table into docs/performance.md")
    parser.add_argument("--record", nargs=3, metavar=("WORKSPACE", "CACHE", "FILE"), help="record a graph")
    parser.add_argument("patterns", nargs="*", default=["//..."], help="what to record")
    arguments: Any = parser.parse_args()
    if arguments.record:
        workspace, cache, file = arguments.record
        _write(file, dump(record(workspace, cache, arguments.patterns)))
        return 0
    text = table.aligned(rows(list(graphs())))
    print(text)
    if arguments.write:
        document = os.path.join(_TOP, "docs", "performance.md")
        with open(document, encoding="utf-8") as file:
            before = file.read()
        _write(document, table.replace_generated(before, text, BEGIN, END))
    return 0


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(main())
