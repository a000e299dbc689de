"""Launches that are handed over early start when a place is free, and not before; nobody has to tell them."""

import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path

from bldr.api import Level, ResourceLimits

ENOUGH_S = 0.5
"""In which a command would long have run if nothing held it back."""


@contextmanager
def held(box, *, code=0, **options):
    """A launch that has its turn, and ends with `code` when the block does; gives its number."""
    reading, writing = os.pipe()
    number = box.start("sh", "-c", f"echo up; read word; date +%s.%N; exit {code}", stdin=reading, in_turn=True,
                       **options)  # fmt: skip
    os.close(reading)
    box.until(lambda: os.fstat(box.logs[number][0].fileno()).st_size)
    try:
        yield number
    finally:
        os.close(writing)


def children(pid):
    return [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_dead(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def stands_still(box):
    """Whether nothing ends for a while."""
    time.sleep(ENOUGH_S)
    found = {exit.launch_id: exit for exit in box.launcher.reap()}
    box.ended.update(found)
    return not found


def time_of(ended):
    return float(ended.out.split()[-1])


def date(box, **options):
    return box.start("date", "+%s.%N", in_turn=True, **options)


def test_a_launch_waits_for_the_end_of_another(box):
    box.launcher.allow(1)
    with held(box) as first:
        second = date(box)
        assert stands_still(box)
    end, begin = time_of(box.wait(first)), box.wait(second)
    assert time_of(begin) > end
    assert begin.exit.usage.wall_s < ENOUGH_S  # its time is counted from its turn on


def test_one_whose_sandbox_is_killed_while_it_waits_gets_another(box):
    box.launcher.allow(1)
    with held(box) as first:
        second = date(box)
        assert stands_still(box)
        born = [pid for cell in children(box.launcher._pid) for pid in children(cell)]
        killed = [pid for pid in born if not children(pid) and "cradle" not in Path(f"/proc/{pid}/comm").read_text()]
        assert killed
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        box.until(lambda: all(map(is_dead, killed)))
    assert [box.wait(number).exit_code for number in (first, second)] == [0, 0]


def test_as_many_run_as_there_are_places(box):
    box.launcher.allow(2)
    with held(box) as first:
        numbers = [date(box) for _ in range(5)]
        assert all(box.wait(number).exit_code == 0 for number in numbers)
    assert box.wait(first).exit_code == 0


def test_nobody_has_to_hear_of_an_end_for_the_next_to_start(box, tmp_path):
    box.launcher.allow(1)
    with held(box) as first:
        second = box.start("sh", "-c", "echo second", in_turn=True)
        log = box.logs[second][0].fileno()
    box.until(lambda: os.fstat(log).st_size)  # and the launcher was not asked for anything meanwhile
    assert first not in box.ended
    assert [box.wait(number).exit_code for number in (first, second)] == [0, 0]


def test_a_launch_that_is_not_in_turn_does_not_wait(box):
    box.launcher.allow(1)
    with held(box) as first:
        assert box.run("true").exit_code == 0
    assert box.wait(first).exit_code == 0


def test_after_a_failure_nothing_starts_until_it_is_told_to_go_on(box):
    box.launcher.allow(1)
    with held(box, code=3) as first:
        second = date(box)
    assert box.wait(first).exit_code == 3
    assert stands_still(box)
    box.launcher.go_on()
    box.launcher.go_on()  # there is but one place, however often somebody says so
    assert box.wait(second).exit_code == 0
    with held(box) as third:
        fourth = date(box)
        assert stands_still(box)
    assert time_of(box.wait(third)) < time_of(box.wait(fourth))


def test_after_a_limit_that_was_reached_nothing_starts_either(box):
    box.launcher.allow(1)
    first = box.start("sleep", "1000", in_turn=True, resources=ResourceLimits(wall_time_s=0.3))
    second = date(box)
    assert box.wait(first).exit.verdict.limit == "wall-time"
    assert stands_still(box)
    box.launcher.go_on()
    assert box.wait(second).exit_code == 0


def test_a_sandbox_that_cannot_be_made_keeps_no_place(box):
    box.launcher.allow(1)
    assert box.wait(box.start("true", in_turn=True, cwd="/nowhere")).exit.failure is not None
    box.launcher.go_on()
    assert box.wait(date(box)).exit_code == 0


def test_a_launch_can_be_called_back_before_its_turn(box, tmp_path):
    box.launcher.allow(1)
    with held(box) as first:
        second, third = box.start("echo", "never", in_turn=True), date(box)
        box.launcher.kill(second)
        ended = box.wait(second)
        assert (ended.exit_code, ended.exit.signal, ended.exit.began, ended.out) == (137, 9, False, "")
    assert box.wait(first).exit_code == 0
    assert box.wait(third).exit_code == 0  # the place was not lost


def test_what_waits_ends_with_its_launcher(box, is_alive, mark):
    box.launcher.allow(1)
    with held(box) as first:
        box.start("sh", "-c", f"echo begun; sleep {mark}", in_turn=True)
        box.launcher.close()
    assert not is_alive(mark)
    assert first not in box.ended


def test_launches_are_as_isolated_as_others(box):
    box.launcher.allow(1)
    with held(box) as first:
        second = box.start("sh", "-c", "ls /proc/self/fd", in_turn=True)
    reached = box.wait(first).exit.isolation
    ended = box.wait(second)
    assert ended.exit.isolation == reached
    assert ended.exit.isolation["syscalls"] == Level.KERNEL
    assert ended.out.split() == ["0", "1", "2", "3"]  # the last is that of `ls`, which looks


def test_many_pass_the_places_on(box):
    box.launcher.allow(2)
    numbers = [box.start("sh", "-c", f"exit {number % 7 == 0:d}", in_turn=True) for number in range(40)]
    codes = []
    for number in numbers:
        while number not in box.ended:
            for exit in box.launcher.reap():
                box.ended[exit.launch_id] = exit
            box.launcher.go_on()
            time.sleep(0.001)
        codes.append(box.wait(number).exit_code)
    assert codes == [int(number % 7 == 0) for number in range(40)]
