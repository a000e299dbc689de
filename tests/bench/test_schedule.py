"""The simulation of schedules: right on graphs that can be reckoned by hand, and never below what is possible."""

import random

import pytest


@pytest.fixture
def schedule(bench):
    return bench("schedule")


def test_a_long_chain_that_starts_late_is_what_fifo_pays_for(schedule):
    task = schedule.Task
    graph = [task(1.0, ()), task(1.0, ()), task(1.0, ()), task(1.0, ()), task(4.0, ())]
    known = {index: each.duration_s for index, each in enumerate(graph)}
    assert schedule.bound_s(graph, 2) == 4.0
    assert schedule.makespan_s(graph, 2, None) == 6.0
    assert schedule.makespan_s(graph, 2, schedule.remaining(graph, known)) == 4.0


def test_nothing_starts_before_what_it_needs(schedule):
    task = schedule.Task
    graph = [task(1.0, ()), task(2.0, (0,)), task(3.0, (1,))]
    assert schedule.makespan_s(graph, 8, None) == schedule.bound_s(graph, 8) == 6.0
    assert schedule.makespan_s([], 2, None) == schedule.bound_s([], 2) == 0.0


def test_the_bound_knows_of_slots_that_must_be_empty(schedule):
    task = schedule.Task
    behind = [task(3.0, ()), *(task(1.0, (0,)) for _ in range(4))]
    before = [*(task(1.0, ()) for _ in range(4)), task(3.0, (0, 1, 2, 3))]
    for graph in (behind, before):
        assert schedule.bound_s(graph, 2) == schedule.makespan_s(graph, 2, None) == 5.0


@pytest.mark.parametrize("shape", ["chains", "wide", "libraries", "pipeline"])
@pytest.mark.parametrize("slots", [1, 3, 64])
def test_every_schedule_is_between_the_bound_and_twice_it(schedule, shape, slots):
    """Graham's bound for any schedule that leaves no slot empty while something is ready."""
    graph = getattr(schedule, shape)(300, random.Random(shape))
    assert 250 <= len(graph) <= 300
    assert all(dep < index for index, task in enumerate(graph) for dep in task.deps)
    least_s, *multiples = schedule.compare(graph, slots)
    assert least_s > 0
    assert all(0.999999 <= multiple < 2.0 for multiple in multiples)


def test_recorded_graphs_are_read_as_they_were_written(schedule):
    graph = [schedule.Task(0.25, ()), schedule.Task(1.5, (0,))]
    assert schedule.load(schedule.dump(graph)) == graph


def test_what_is_recorded_can_be_simulated(schedule):
    found = {name: graph for name, graph in schedule.graphs() if name.startswith("recorded: ")}
    assert {"recorded: lua", "recorded: mixed"} <= found.keys()
    for graph in found.values():
        assert all(dep < index for index, task in enumerate(graph) for dep in task.deps)
    head, *lines = schedule.rows([("lua", found["recorded: lua"])], slots=(2,))
    assert len(head) == len(lines[0])
    assert float(lines[0][5]) <= float(lines[0][4])  # the longest path first is no worse than FIFO there


def test_the_document_has_a_place_for_the_table(schedule, bench):
    import pathlib

    text = (pathlib.Path(__file__).parents[2] / "docs" / "performance.md").read_text()
    assert text.count(schedule.BEGIN) == text.count(schedule.END) == 1


@pytest.mark.full
def test_a_build_that_was_done_can_be_recorded(schedule, bench, tmp_path):
    tools = bench("tools")
    tool = tools.Bldr(str(tmp_path), 20)
    tool.write()
    tool.build()
    graph = schedule.record(tool.directory, tool.cache, ["//..."])
    assert len(graph) == 20
    assert sum(not task.deps for task in graph) == 2
    assert all(task.duration_s > 0 for task in graph)
