"""Limits that bite: every stop names its limit, its value and the use, and nothing is left alive."""

import os

import pytest

from bldr.api import Level, Output, ProcessPolicy, ResourceLimits, Usage

MIB = 1 << 20
HOG = "b=x; while :; do b=$b$b; done"


@pytest.fixture
def ends(box, is_alive, mark):
    """Runs a script under limits; the verdict. Its processes carry a mark, and none of them survives."""

    def run(script, *, tree=False, process=ProcessPolicy(), **limits):  # noqa: B008 - frozen
        limits.setdefault("grace_s", 0.1)
        staged = box.tree() if tree else None
        ended = box.run("sh", "-c", script, mark, tree=staged, resources=ResourceLimits(**limits), process=process)
        assert not is_alive(mark)
        assert ended.exit.failure is None, ended
        return ended.exit.verdict

    return run


def test_memory(ends):
    verdict = ends(HOG, memory_bytes=32 * MIB)
    assert (verdict.limit, verdict.value, verdict.unit) == ("memory", 32 * MIB, "bytes")
    assert verdict.used >= 31 * MIB


def test_a_limit_of_memory_below_what_a_sandbox_needs(box):
    failure = box.run("true", resources=ResourceLimits(memory_bytes=MIB)).exit.failure
    assert (failure.message, failure.hint) == (
        "a memory limit of 1048576 bytes is less than an empty sandbox needs",
        "set at least 4 MiB",
    )
    assert box.run("true", resources=ResourceLimits(memory_bytes=4 * MIB)).exit_code == 0


def test_limits_larger_than_any_machine(box):
    assert box.run("true", resources=ResourceLimits(processes=10**11, cpus=1e30, memory_bytes=1 << 60)).exit_code == 0


def test_memory_of_a_child_whose_parent_goes_on(ends):
    assert ends(f"(sh -c '{HOG}'); sleep 1000", memory_bytes=32 * MIB).limit == "memory"
    assert ends(f"(sh -c '{HOG}'); exit 0", memory_bytes=32 * MIB).limit == "memory"


def test_memory_is_each_launch_s_own(box):
    """In a cell that serves again neither the peak nor the kill of the launch before counts."""
    limits = ResourceLimits(memory_bytes=48 * MIB)
    assert box.run("sh", "-c", HOG, resources=limits).exit.verdict.limit == "memory"
    fine = box.run("true", resources=limits)
    assert (fine.exit_code, fine.exit.verdict) == (0, None)
    assert fine.exit.usage.memory_peak_bytes < 24 * MIB
    assert (
        box.run("sh", "-c", "head -c 20000000 /dev/zero | tail -c 20000000 | wc -c", resources=limits).out
        == "20000000\n"
    )


def test_files_in_memory_count_as_memory(ends):
    assert ends("head -c 100000000 /dev/zero > /tmp/big; sleep 1000", memory_bytes=32 * MIB).limit == "memory"


BOMB = """
import os, time
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.01)
"""
THREADS = """
import threading, time
for _ in range(100):
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
"""


@pytest.fixture
def python():
    if not os.path.exists("/usr/bin/python3"):
        pytest.skip("the system has no /usr/bin/python3")
    return "/usr/bin/python3"


def test_a_fork_bomb(ends, python):
    verdict = ends(f"exec {python} -c '{BOMB}'", processes=40)
    assert (verdict.limit, verdict.value, verdict.unit) == ("processes", 40, "processes")


def test_a_fork_bomb_that_fizzles_out(box, ends):
    """Its processes die of the first fork that is refused: only a control group still knows of it."""
    launch = box.start("sleep", "1000")
    counted = (box.launcher.measure(launch) or Usage()).processes is not None
    box.launcher.kill(launch)
    box.wait(launch)
    verdict = ends("f() { f | f & }; f; sleep 1000", processes=40, wall_time_s=3.0)
    assert verdict.limit in ({"processes"} if counted else {"processes", "wall-time"})


def test_threads_count_as_processes(box, python):
    ended = box.run(python, "-c", THREADS, resources=ResourceLimits(processes=20))
    assert ended.exit.verdict is not None or "can't start new thread" in ended.err


def test_max_children(ends, box):
    two = ProcessPolicy(max_children=2)
    assert box.sh("true & true & wait; echo fine", process=two).out == "fine\n"
    assert ends("for i in 1 2 3 4 5 6; do sleep 1000 & done; wait", process=two).limit == "processes"


def test_cpu_time_of_many_processes_together(ends):
    verdict = ends("for i in 1 2 3; do (while :; do :; done) & done; wait", cpu_time_s=0.5)
    assert (verdict.limit, verdict.value, verdict.unit) == ("cpu", 0.5, "s")
    assert verdict.used >= 0.5


def test_a_log_without_end(ends, box):
    verdict = ends("yes 0123456789", log_bytes=MIB)
    assert (verdict.limit, verdict.value, verdict.unit) == ("log", MIB, "bytes")
    assert verdict.used > MIB
    quick = ends("head -c 2000000 /dev/zero", log_bytes=MIB)
    assert (quick.limit, quick.used > MIB) == ("log", True)
    assert ends("head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2", log_bytes=MIB).limit == "log"
    assert ends("head -c 1000000 /dev/zero", log_bytes=MIB) is None


def test_many_files_together(ends):
    script = "i=0; while :; do head -c 500000 /dev/zero > f$i; i=$((i + 1)); done"
    verdict = ends(script, tree=True, output_bytes=4 * MIB)
    assert (verdict.limit, verdict.value) == ("output", 4 * MIB)
    assert verdict.used > 4 * MIB
    verdict = ends(script, tree=True, disk_bytes=4 * MIB)
    assert (verdict.limit, verdict.value) == ("disk", 4 * MIB)


def test_a_sparse_file_counts_by_its_size(ends):
    assert ends("dd if=/dev/null of=big bs=1 seek=100G", tree=True, file_bytes=MIB).limit == "file-size"
    assert ends("exec dd if=/dev/null of=big bs=1 seek=100G", tree=True, output_bytes=MIB).limit == "output"
    assert ends("dd if=/dev/null of=big bs=1 seek=100G; sleep 0.5", tree=True, disk_bytes=MIB) is None


def test_outputs_outside_the_tree_count(box, ends):
    place = box.directory("out", own=True)
    ended = box.run(
        "sh", "-c", "while :; do head -c 500000 /dev/zero >> /out/big; done",
        outputs=(Output("/out", str(place), is_directory=True),), resources=ResourceLimits(output_bytes=2 * MIB),
    )  # fmt: skip
    assert ended.exit.verdict.limit == "output"


def test_wall_time_after_a_grace(ends):
    verdict = ends("trap 'echo asked' TERM; while :; do sleep 0.05; done", wall_time_s=0.3, grace_s=0.3)
    assert (verdict.limit, verdict.value, verdict.unit) == ("wall-time", 0.3, "s")


def test_temporary_directories_have_bounds(box):
    limits = ResourceLimits(temp_bytes=MIB, temp_inodes=50)
    full = box.run("sh", "-c", "head -c 2000000 /dev/zero > /tmp/big", resources=limits)
    assert "no space left" in full.err.lower()
    many = box.run("sh", "-c", "i=0; while :> /tmp/f$i; do i=$((i + 1)); done", resources=limits)
    assert "no space left" in many.err.lower()


def test_open_files(box):
    ended = box.run("sh", "-c", "ulimit -n", resources=ResourceLimits(open_files=17))
    assert ended.out == "17\n"


def test_what_was_used_is_told(box, sandbox):
    usage = box.run("sh", "-c", "head -c 30000000 /dev/zero | tail -c 30000000 | wc -c").exit.usage
    assert usage.wall_s > 0
    assert usage.cpu_s > 0
    assert usage.memory_peak_bytes > 4 * MIB
    if sandbox.probe().isolation["memory"] is Level.KERNEL:
        assert usage.memory_peak_bytes > 25 * MIB
        assert usage.processes >= 3


def test_use_is_told_while_it_runs(box, sandbox):
    launch = box.start("sh", "-c", "head -c 30000000 /dev/zero | { sleep 0.1; tail -c 30000000; } | sleep 1000")
    usage = box.launcher.measure(launch)
    if os.geteuid() != 0 and usage is None:
        assert sandbox.probe().isolation["memory"] is Level.SUPERVISED
    else:
        box.until(lambda: box.launcher.measure(launch).cpu_s > 0)
    box.launcher.kill(launch)
    box.wait(launch)
    assert box.launcher.measure(launch) is None
