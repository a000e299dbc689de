"""Limits bite, are reported as met, and are gone with the launch that they were for."""

import errno
import glob
import os
import signal
import time

import pytest

MIB = 1 << 20


def test_a_memory_hog_is_killed_and_reported(launch_all, needs, payloads):
    needs("memory")

    def body(cell):
        hog = cell.run(lambda: payloads.touch(256), memory=64 * MIB)
        return hog, cell.run(lambda: payloads.touch(4), memory=64 * MIB)

    hog, modest = launch_all(body)
    assert hog.code == -signal.SIGKILL
    assert hog.hits["memory"] >= 1
    assert 32 * MIB < hog.used["memory_peak_bytes"] <= 64 * MIB
    # The cell lives, and what became of the last launch is not the next one's.
    assert modest.code == 0
    assert modest.hits == {}


def test_swap_is_no_way_around_the_memory_limit(launch_all, needs, tree):
    needs("memory")
    _, unified, controllers, legacy, _ = tree.description

    def body(cell):
        if "memory" in controllers:
            pid = cell.start(signal.pause, memory=64 * MIB)
            (value,) = [read(path) for path in glob.glob(f"{unified}/cell-1-*/memory.swap.max")] or ["0"]
            os.kill(pid, signal.SIGKILL)
            cell.finish(pid)
            return value == "0"
        cell.run(lambda: None, memory=64 * MIB)
        (value,) = [read(path) for path in glob.glob(f"{dict(legacy)['memory']}/cell-1/memory.memsw.limit_in_bytes")]
        return value == str(64 * MIB)

    assert launch_all(body)


def test_a_limit_holds_for_one_launch_only(launch_all, needs, payloads):
    needs("memory", "processes")

    def body(cell):
        limited = [cell.run(lambda: payloads.touch(128), memory=size * MIB) for size in (64, 32, 96)]
        free = cell.run(lambda: payloads.touch(128) and payloads.fork_many(20))
        return limited, free

    limited, free = launch_all(body)
    assert [one.code for one in limited] == [-signal.SIGKILL] * 3
    assert free.code == 0
    assert free.hits == {}


def test_the_peak_is_this_launch_s_own(launch_all, needs, payloads):
    needs("memory")

    def body(cell):
        return [cell.run(lambda mib=mib: payloads.touch(mib), memory=256 * MIB).used for mib in (100, 10)]

    large, small = (used.get("memory_peak_bytes") for used in launch_all(body))
    if large is None:
        pytest.skip("this kernel does not tell the peak of cgroup v2 (Linux 5.19 does)")
    assert large > 100 * MIB
    assert 10 * MIB < small < 50 * MIB


def test_page_cache_of_a_launch_is_not_the_next_one_s_memory(launch_all, needs, payloads, tmp_path):
    needs("memory")
    # Opened here: a temporary directory is closed to others.
    fd = os.open(tmp_path / "large", os.O_WRONLY | os.O_CREAT)

    def write():
        for _ in range(48):
            os.write(fd, bytes(MIB))

    def body(cell):
        return [cell.run(payload, memory=64 * MIB) for payload in (write, lambda: payloads.touch(40))]

    writer, reader = launch_all(body)
    os.close(fd)
    assert writer.code == reader.code == 0
    # Neither added to its own use nor taken off it.
    if "memory_peak_bytes" in reader.used:
        assert 40 * MIB < reader.used["memory_peak_bytes"] < 60 * MIB


def test_a_fork_bomb_is_bounded_and_reported(launch_all, needs, payloads):
    needs("processes")

    def body(cell):
        reading, writing = os.pipe()
        bomb = cell.run(lambda: os.write(writing, bytes([payloads.fork_many(100)])), processes=20)
        made = os.read(reading, 1)[0]
        return bomb, made, cell.run(lambda: payloads.fork_many(5), processes=20)

    bomb, made, peaceful = launch_all(body)
    # The launch's first process is one of the twenty.
    assert made == 19
    assert bomb.hits["processes"] >= 1
    assert bomb.used.get("processes_peak", 20) == 20
    assert peaceful.hits == {}


def test_attendants_are_not_counted(launch_all, needs):
    needs("processes")

    def body(cell):
        fd = cell.group.prepare({"processes": 7}, attendants=3)
        used = cell.group.measure()
        cell.group.finish()
        return fd, used

    _, used = launch_all(body)
    assert used["processes"] == 0


def test_a_cpu_quota_throttles(launch_all, needs, tree):
    needs("cpu-share")
    _, unified, controllers, legacy, _ = tree.description
    top = unified if "cpu" in controllers else dict(legacy)["cpu"]

    def throttled():
        (path,) = glob.glob(f"{top}/cell-1*/cpu.stat")
        return int(dict(line.split() for line in read(path).splitlines())["nr_throttled"])

    def burn():
        while True:
            pass

    def body(cell):
        pid = cell.start(burn, cpus=0.1)
        deadline = time.monotonic() + 60
        while not throttled() and time.monotonic() < deadline:
            time.sleep(0.01)
        found = throttled()
        os.kill(pid, signal.SIGKILL)
        cell.finish(pid)
        pid = cell.start(signal.pause)
        (path,) = glob.glob(f"{top}/cell-1*/cpu.max") or glob.glob(f"{top}/cell-1*/cpu.cfs_quota_us")
        free = read(path).split()[0]
        os.kill(pid, signal.SIGKILL)
        cell.finish(pid)
        return found, free

    found, free = launch_all(body)
    assert found > 0
    assert free in ("max", "-1")


def test_cpu_weight_is_set(launch_all, needs, tree):
    needs("cpu-share")
    _, unified, controllers, legacy, _ = tree.description
    top = unified if "cpu" in controllers else dict(legacy)["cpu"]

    def body(cell):
        found = []
        for limits in ({"cpu_weight": 200}, {}):
            pid = cell.start(signal.pause, **limits)
            (path,) = glob.glob(f"{top}/cell-1*/cpu.weight") or glob.glob(f"{top}/cell-1*/cpu.shares")
            found.append(read(path))
            os.kill(pid, signal.SIGKILL)
            cell.finish(pid)
        return found

    assert launch_all(body) in (["200", "100"], ["2048", "1024"])


def test_the_speed_of_disks_is_set_on_v1(launch_all, tree):
    _, _, _, legacy, disks = tree.description
    if "blkio" not in dict(legacy) or not disks:
        pytest.skip("no disk is throttled by cgroup v1 here")

    def body(cell):
        found = []
        for limits in ({"io": 2 * MIB}, {}):
            pid = cell.start(signal.pause, **limits)
            found.append(read(f"{dict(legacy)['blkio']}/cell-1/blkio.throttle.read_bps_device").splitlines())
            os.kill(pid, signal.SIGKILL)
            cell.finish(pid)
        return found

    assert launch_all(body) == [[f"{disk} {2 * MIB}" for disk in disks], []]


def test_cpu_time_is_counted_for_all_processes_of_a_launch(launch_all, needs):
    needs("cpu")

    def burn():
        pid = os.fork()
        while sum(os.times()[:2]) < 0.2:
            pass
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)

    def body(cell):
        return [cell.run(payload).used["cpu_s"] for payload in (burn, lambda: None)]

    busy, idle = launch_all(body)
    assert busy >= 0.4
    assert idle < 0.4


def test_use_can_be_asked_for_while_a_launch_runs(launch_all, needs, payloads, until):
    needs("memory", "processes")

    def hold():
        block = payloads.touch(64)
        signal.pause()
        del block

    def body(cell):
        pid = cell.start(hold)
        until(lambda: cell.group.measure()["memory_bytes"] > 64 * MIB)
        used = cell.group.measure()
        os.kill(pid, signal.SIGKILL)
        cell.finish(pid)
        return used

    assert launch_all(body)["processes"] == 1


def test_a_value_that_the_kernel_refuses_is_an_error_with_the_path(launch_all, needs, payloads):
    needs("processes")

    def body(cell):
        try:
            cell.group.prepare({"processes": -100})
        except OSError as error:
            return error.errno, os.path.basename(error.filename), cell.run(lambda: None, processes=3).code
        return None

    assert launch_all(body) == (errno.EINVAL, "pids.max", 0)


def read(path):
    with open(path) as file:
        return file.read().strip()
