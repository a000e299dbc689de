"""What actions used, as people read it."""

from types import SimpleNamespace

import pytest

from bldr.api.sandbox import Level, Usage
from bldr.report.use import SHOWN_ACTIONS, MostUse, use_table


def use(limit, used, of, unit, level):
    return SimpleNamespace(limit=limit, used=used, of=of, unit=unit, level=level)


def test_the_table_is_aligned():
    rows = [
        use("memory", 64 << 20, 4 << 30, "bytes", Level.KERNEL),
        use("cpu", 0.01, 3600.0, "s", Level.SUPERVISED),
        use("processes", 128, 128, "", Level.KERNEL),
        use("disk", None, 1 << 30, "bytes", Level.NONE),
    ]
    assert use_table(rows) == [
        "limit          used       of  share  enforced by",
        "memory     64.0 MiB  4.0 GiB     2%  kernel",
        "cpu            0.0s   1h 00m    <1%  supervision",
        "processes       128      128   100%  kernel",
        "disk              -  1.0 GiB      -  nobody",
    ]
    assert use_table([]) == []


@pytest.fixture
def ran(finished):
    def make(number, started_s, ended_s, memory, cpu_s=None, **fields):
        usage = Usage(memory_peak_bytes=memory, cpu_s=cpu_s)
        return finished(number, started_s=started_s, time_s=ended_s, usage=usage, **fields)

    return make


def test_memory_of_actions_that_overlap_is_added(ran):
    most = MostUse()
    for event in (ran(1, 0, 2, 10), ran(2, 1, 3, 20), ran(3, 3, 4, 25), ran(4, 0, 9, 999, cached=True)):
        most.add(event, "x")
    assert most.peak_bytes() == 30


def test_those_that_used_most_are_named(ran):
    most = MostUse()
    for number in range(SHOWN_ACTIONS + 1):
        most.add(ran(number, number, number + 1, (number + 1) << 20, 10.0 - number), f"action {number}")
    assert most.lines() == [
        "most memory:",
        "     6.0 MiB  action 5",
        "     5.0 MiB  action 4",
        "     4.0 MiB  action 3",
        "     3.0 MiB  action 2",
        "     2.0 MiB  action 1",
        "most CPU time:",
        "       10.0s  action 0",
        "        9.0s  action 1",
        "        8.0s  action 2",
        "        7.0s  action 3",
        "        6.0s  action 4",
        "memory of actions at one time: 6.0 MiB at most",
    ]


def test_where_nobody_counted_nothing_is_said(ran):
    most = MostUse()
    most.add(ran(1, 0, 1, None), "x")
    assert most.lines() == []
