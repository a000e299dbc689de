"""Limits that are watched from outside: when to look, which signal, and the verdict."""

import signal

import pytest

from bldr.api import ResourceLimits, SandboxSpec, Usage
from bldr_unmounted import supervision
from bldr_unmounted.supervision import Supervision


class Clock:
    """Says the time that a test sets."""

    now_s = 100.0

    def monotonic(self):
        return self.now_s


class Samples:
    interval_s = 2.0

    def __init__(self, *usages):
        self.usages = list(usages)

    def usage(self, leader):
        return self.usages.pop(0)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(supervision, "time", clock)
    return clock


def watch(clock, *samples, **limits):
    spec = SandboxSpec(resources=ResourceLimits(**limits))
    return Supervision(spec, clock.now_s, Samples(*samples) if samples else None)


def test_without_limits_nobody_looks(clock):
    watched = watch(clock, Usage())
    assert watched.due_s is None
    assert watched.look(1) == 0


def test_time_over_is_a_polite_signal_then_the_other(clock):
    watched = watch(clock, wall_time_s=5.0, grace_s=1.0)
    assert watched.due_s == 105
    assert watched.look(1) == 0
    clock.now_s = 105.5
    assert (watched.look(1), watched.due_s) == (signal.SIGTERM, 106.5)
    assert watched.look(1) == 0
    clock.now_s = 107
    assert (watched.look(1), watched.due_s) == (signal.SIGKILL, None)
    verdict = watched.verdict_of(signal.SIGKILL, Usage())
    assert (verdict.limit, verdict.value, verdict.used) == ("wall-time", 5.0, 5.5)


@pytest.mark.parametrize(
    ("limits", "sample", "verdict"),
    [
        ({"memory_bytes": 100}, Usage(memory_bytes=101), ("memory", 100, 101, "bytes")),
        ({"cpu_time_s": 3.0}, Usage(cpu_s=3.5), ("cpu", 3.0, 3.5, "s")),
        ({"processes": 2}, Usage(processes=3), ("processes", 2, 3, "processes")),
    ],
)
def test_a_sample_above_a_limit_ends_it_at_once(clock, limits, sample, verdict):
    watched = watch(clock, Usage(memory_bytes=100, cpu_s=3.0, processes=2), sample, **limits)
    assert watched.due_s == 102
    clock.now_s = 102
    assert (watched.look(1), watched.due_s) == (0, 104)
    clock.now_s = 104
    assert (watched.look(1), watched.due_s) == (signal.SIGKILL, None)
    found = watched.verdict_of(signal.SIGKILL, Usage())
    assert (found.limit, found.value, found.used, found.unit) == verdict


def test_a_limit_that_is_passed_while_a_command_may_end_by_itself_ends_it_at_once(clock):
    watched = watch(clock, Usage(memory_bytes=1), Usage(memory_bytes=1 << 40), wall_time_s=1.0, grace_s=600.0,
                    memory_bytes=100)  # fmt: skip
    clock.now_s = 102
    assert watched.look(1) == signal.SIGTERM
    clock.now_s = 104
    assert (watched.look(1), watched.due_s) == (signal.SIGKILL, None)
    assert watched.verdict_of(signal.SIGKILL, Usage()).limit == "wall-time", "what it passed first"


def test_a_command_that_is_gone_has_no_sample(clock):
    watched = watch(clock, None, memory_bytes=1)
    clock.now_s = 102
    assert watched.look(1) == 0
    assert watched.measured(None) is None


def test_peaks_are_kept_from_one_sample_to_the_next(clock):
    watched = watch(clock, Usage())
    watched.measured(Usage(memory_bytes=70, processes=1))
    clock.now_s = 101.5
    later = watched.measured(Usage(memory_bytes=7, processes=4))
    assert (later.memory_bytes, later.memory_peak_bytes, later.wall_s) == (7, 70, 1.5)
    whole = watched.ended(0.5, 60)
    assert (whole.cpu_s, whole.memory_peak_bytes, whole.processes) == (0.5, 70, 4)
    assert watched.ended(0.5, 80).memory_peak_bytes == 80


def test_the_kernel_s_signal_for_processor_time_is_a_verdict(clock):
    watched = watch(clock, cpu_time_s=2.0)
    assert watched.verdict_of(signal.SIGXCPU, Usage(cpu_s=1.9)).used == 2.0
    assert watched.verdict_of(signal.SIGKILL, Usage(cpu_s=2.1)).limit == "cpu"
    assert watched.verdict_of(signal.SIGKILL, Usage(cpu_s=0.1)) is None
    assert watched.verdict_of(0, Usage(cpu_s=2.0)) is None
    assert watched.verdict_of(0, Usage(cpu_s=5.0)).used == 5.0, "what ended between two looks counts in the end"
