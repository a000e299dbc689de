"""What only cgroup v2 can do, with controllers or, beside v1, without any."""

import glob
import os
import signal
import time
from pathlib import Path

import pytest

MIB = 1 << 20


@pytest.fixture
def top(tree):
    """The tree's top group of v2."""
    if not tree.description[1]:
        pytest.skip("no group of cgroup v2 can be made here")
    return tree.description[1]


@pytest.fixture
def needs_v2(tree):
    """Skips where a controller is not one of v2."""

    def check(controller):
        if controller not in tree.description[2]:
            pytest.skip(f"{controller} is no controller of cgroup v2 here")

    return check


def setting(top, name):
    (path,) = glob.glob(f"{top}/cell-1-*/{name}")
    return Path(path).read_text().strip()


def event(top, file, key):
    return int(dict(line.split() for line in setting(top, file).splitlines())[key])


def end(cell, pid):
    os.kill(pid, signal.SIGKILL)
    return cell.finish(pid)


def test_every_launch_is_born_in_a_group_that_limits_nobody_else(top, tree, launch_all):
    """One without controllers limits nobody, and serves until somebody was killed in it."""

    def body(cell):
        reading, writing = os.pipe()

        def place():
            cell.run(lambda: os.write(writing, Path("/proc/self/cgroup").read_bytes()))
            lines = os.read(reading, 1 << 16).decode().splitlines()
            return next(line for line in lines if line.startswith("0::")).rpartition("/")[2]

        places = [place(), place()]
        pid = cell.start(signal.pause)
        if not cell.group.kill():
            end(cell, pid)
        else:
            cell.finish(pid)
        places.append(place())
        left = [os.path.basename(path) for path in glob.glob(f"{top}/cell-*")]
        cell.group.close()
        return places, left, glob.glob(f"{top}/cell-*")

    if tree.description[2]:
        assert launch_all(body) == (["cell-1-1", "cell-1-2", "cell-1-4"], [], [])
    else:
        assert launch_all(body) == (["cell-1-1", "cell-1-1", "cell-1-2"], ["cell-1-2"], [])


def test_cpu_time_is_that_of_one_launch(top, launch_all):
    def spin():
        end_s = time.process_time() + 0.3
        while time.process_time() < end_s:
            pass

    def body(cell):
        return [cell.run(payload).used["cpu_s"] for payload in (spin, lambda: None, spin)]

    times_s = first, between, last = launch_all(body)
    assert all(time_s == round(time_s, 6) for time_s in times_s)
    assert first >= 0.3
    assert between < 0.2
    assert last >= 0.3


def test_kill_ends_every_process_of_a_launch_and_of_no_other(top, launch_all, until, run_in_cell):
    def family():
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(1000)

    def body(cell):
        pid = cell.start(family)
        (procs,) = glob.glob(f"{top}/cell-1-*/cgroup.procs")
        until(lambda: len(Path(procs).read_text().split()) == 8)
        if not cell.group.kill():
            return None
        until(lambda: Path(procs).read_text() == "")
        killed = cell.finish(pid).code
        # The next one does not inherit its death.
        return killed, cell.run(lambda: time.sleep(0.05)).code

    found = launch_all(body)
    if found is None:
        pytest.skip("this kernel has no cgroup.kill (Linux 5.14 does)")
    assert found == (-signal.SIGKILL, 0)


def test_out_of_memory_ends_the_whole_launch(needs_v2, launch_all, payloads, top):
    needs_v2("memory")

    def parent():
        if os.fork() == 0:
            payloads.touch(256)
        time.sleep(1000)

    ended = launch_all(lambda cell: cell.run(parent, memory=64 * MIB))
    assert ended.code == -signal.SIGKILL
    assert ended.hits["memory"] >= 1


def test_memory_high_slows_down(needs_v2, launch_all, payloads, top, until):
    needs_v2("memory")

    def body(cell):
        pid = cell.start(lambda: payloads.touch(200), memory_high=32 * MIB)
        until(lambda: event(top, "memory.events", "high") > 0)
        ended = end(cell, pid)
        pid = cell.start(signal.pause)
        free = setting(top, "memory.high")
        end(cell, pid)
        return ended.hits, free

    assert launch_all(body) == ({}, "max")


def test_the_speed_of_every_disk_is_bounded(needs_v2, launch_all, tree, top):
    needs_v2("io")
    disks = tree.description[4]
    if not disks:
        pytest.skip("no disk here whose speed can be limited")

    def body(cell):
        pid = cell.start(signal.pause, io=2 * MIB)
        found = setting(top, "io.max")
        end(cell, pid)
        return found

    found = dict(line.split(" ", 1) for line in launch_all(body).splitlines())
    assert set(found) == set(disks)
    for values in found.values():
        assert {"rbps=2097152", "wbps=2097152"} <= set(values.split())


def test_bytes_written_are_counted(needs_v2, launch_all, tmp_path, owner):
    needs_v2("io")
    path = tmp_path / "written"
    path.touch()
    fd = os.open(path, os.O_WRONLY)
    status = os.stat(path)
    if not os.path.exists(f"/sys/dev/block/{os.major(status.st_dev)}:{os.minor(status.st_dev)}"):
        os.close(fd)
        pytest.skip("the temporary directory is on no disk")

    def write():
        os.write(fd, bytes(4 * MIB))
        os.fsync(fd)

    used = launch_all(lambda cell: cell.run(write)).used
    os.close(fd)
    assert used["written_bytes"] >= 4 * MIB
