"""Limits as a job gets them, and what of them is believed."""

import pytest

from bldr.api import Level, ProcessPolicy, ResourceLimits, SandboxSpec
from bldr_windows import win32
from bldr_windows.job import Settings, apply, counted, isolation, settings
from bldr_windows.win32 import Extended, Rate

ALL = ResourceLimits(memory_bytes=1 << 30, cpu_time_s=1.5, processes=4, cpus=0.5)


def wanted(limits=ALL, processors=2, **policy):
    return settings(SandboxSpec(resources=limits, process=ProcessPolicy(**policy)), processors)


def test_every_limit_is_in_the_structures():
    asked = wanted()
    assert asked.extended == Extended(
        flags=0x2000 | 0x400 | 0x8 | 0x4 | 0x200 | 0x100,
        active_processes=5,
        job_user_time=15_000_000,
        process_memory_bytes=1 << 30,
        job_memory_bytes=1 << 30,
    )
    assert asked.rate == Rate(win32.RATE_ENABLE | win32.RATE_HARD_CAP, 2500)


def test_nothing_is_limited_that_has_no_limit():
    assert wanted(ResourceLimits()) == Settings(Extended(flags=0x2000 | 0x400), Rate())


def test_no_limit_allows_to_break_away():
    for limits in (ALL, ResourceLimits()):
        assert not wanted(limits).extended.flags & (win32.LIMIT_BREAKAWAY_OK | win32.LIMIT_SILENT_BREAKAWAY_OK)


def test_a_launch_that_outlives_its_parent_is_not_killed_with_the_job():
    assert not wanted(kill_on_parent_exit=False).extended.flags & win32.LIMIT_KILL_ON_JOB_CLOSE


def test_the_least_number_of_processes_counts():
    assert wanted(max_children=1).extended.active_processes == 2 + 1
    assert wanted(max_children=9).extended.active_processes == 4 + 1
    assert wanted(ResourceLimits(), max_children=0).extended.active_processes == 1 + 1


@pytest.mark.parametrize("cpus, value", [(0.5, 2500), (2, 10_000), (8, 10_000), (0.00001, 1)])
def test_processors_are_hundredths_of_a_percent_of_all(cpus, value):
    assert wanted(ResourceLimits(cpus=cpus)).rate.value == value


@pytest.mark.parametrize("weight, value", [(1, 1), (10, 3), (100, 5), (1000, 7), (10_000, 9)])
def test_weights_are_powers_of_ten(weight, value):
    assert wanted(ResourceLimits(cpu_weight=weight)).rate == Rate(win32.RATE_ENABLE | win32.RATE_WEIGHT_BASED, value)


def test_the_console_s_host_does_not_count():
    programs = ["C:\\a.exe", "C:\\windows\\system32\\ConHost.exe", "", "C:\\xconhost.exe"]
    assert counted(programs, "C:\\Windows") == 3


def test_what_only_is_called_like_it_counts():
    programs = ["C:\\tree\\conhost.exe", "C:\\tree\\System32\\conhost.exe", "C:\\tree\\openconsole.exe"]
    assert counted(programs, "C:\\Windows") == 3


def test_what_was_set_is_read_back(recorded):
    system = recorded()
    assert apply(system, 1, wanted()) == wanted()
    assert [name for name, *_ in system.calls] == ["set_extended", "set_rate"]


def test_without_a_share_no_rate_is_set(recorded):
    system = recorded()
    apply(system, 1, wanted(ResourceLimits()))
    assert system.named("set_rate") == []


def test_what_is_refused_keeps_nothing_else_from_being_set(recorded):
    system = recorded()
    system.refusals = {"set_extended": OSError(5, "no")}
    assert apply(system, 1, wanted()) == Settings(Extended(), wanted().rate)


def test_a_limit_is_reached_where_the_job_says_that_it_has_it(recorded):
    reached = isolation({}, wanted(), apply(recorded(), 1, wanted()))
    assert reached == {
        "processes": Level.SUPERVISED,
        "memory": Level.KERNEL,
        "cpu": Level.SUPERVISED,
        "cpu-share": Level.KERNEL,
    }


def test_a_limit_that_did_not_take_is_not_reached_whatever_the_probe_said(recorded):
    promised = dict.fromkeys(("memory", "cpu", "processes", "cpu-share", "env"), Level.KERNEL)
    reached = isolation(promised, wanted(), apply(recorded(takes=()), 1, wanted()))
    assert reached == {"env": Level.KERNEL, "processes": Level.SUPERVISED}


def test_a_limit_that_took_another_value_is_not_reached():
    had = Settings(Extended(flags=wanted().extended.flags, job_memory_bytes=1 << 31), Rate(5, 1))
    assert isolation({}, wanted(), had) == {"processes": Level.SUPERVISED}


@pytest.mark.parametrize("memory_bytes", [2_000_000_000, 2_000_000_001, 1 << 30, 4096])
def test_memory_is_limited_in_pages_and_the_limit_counts_as_taken(recorded, memory_bytes):
    asked = wanted(ResourceLimits(memory_bytes=memory_bytes))
    assert memory_bytes - 4096 < asked.extended.job_memory_bytes <= memory_bytes
    assert isolation({}, asked, apply(recorded(), 1, asked)) == {"memory": Level.KERNEL}


def test_what_is_not_asked_for_is_as_the_probe_found_it(recorded):
    promised = {"memory": Level.KERNEL}
    assert (
        isolation(promised, wanted(ResourceLimits()), apply(recorded(takes=()), 1, wanted(ResourceLimits())))
        == promised
    )
