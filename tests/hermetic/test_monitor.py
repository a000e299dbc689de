"""A monitor measures the descendants of a process and finds the limits that they pass."""

import os
import subprocess
import sys

import pytest

from bldr.api import ResourceLimits, Usage, Verdict
from bldr.hermetic import Snapshot, create_monitor
from bldr.hermetic.monitor import exceeded

WORK = "import sys; b = b'x' * (100 << 20); sum(range(10**6)); print('ready', flush=True); sys.stdin.read()"


@pytest.fixture
def worker():
    """Starts a process that holds 100 MiB and waits."""
    started = []

    def start():
        process = subprocess.Popen([sys.executable, "-c", WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        process.stdout.readline()
        return process

    yield start
    for process in started:
        process.communicate()


def test_new_descendants_are_measured_and_old_ones_are_not(worker):
    worker()
    monitor = create_monitor(ResourceLimits())
    monitor.start(os.getpid())
    assert monitor.snapshot().processes == 0
    worker()
    snapshot = monitor.snapshot()
    assert snapshot.processes == 1
    assert 100 << 20 <= snapshot.memory_bytes < 200 << 20
    assert snapshot.cpu_s > 0
    monitor.stop()


def test_peaks_and_processor_time_outlive_the_process(worker):
    monitor = create_monitor(ResourceLimits(memory_bytes=1 << 20))
    monitor.start(os.getpid())
    process = worker()
    used = monitor.snapshot()
    process.communicate()
    process.wait()
    last = monitor.stop()
    assert (last.processes, last.processes_peak, last.memory_bytes) == (0, 1, 0)
    assert last.memory_peak_bytes == used.memory_bytes
    assert last.cpu_s >= used.cpu_s
    assert [verdict.limit for verdict in monitor.violations()] == ["memory"]
    assert monitor.snapshot() == last


def test_a_monitor_that_starts_again_forgets(worker):
    monitor = create_monitor(ResourceLimits(memory_bytes=1 << 20))
    monitor.start(os.getpid())
    worker()
    monitor.stop()
    assert monitor.is_violated()
    monitor.start(os.getpid())
    assert not monitor.is_violated()
    assert monitor.is_running
    monitor.stop()
    assert not monitor.is_running


def test_a_root_that_dies_ends_the_tree(worker):
    process = worker()
    monitor = create_monitor(ResourceLimits())
    monitor.start(process.pid)
    process.communicate()
    assert monitor.stop().processes == 0


class Launch:
    """A launch whose platform has counters, some of them or none."""

    def __init__(self, *usages, pid=-1):
        self.pid = pid
        self.supervisor_pid = os.getpid()
        self._usages = list(usages)

    def measure(self):
        return self._usages.pop(0) if self._usages else None


def test_the_counters_of_the_platform_are_believed(worker):
    worker()
    first = Usage(cpu_s=1.0, memory_bytes=5, memory_peak_bytes=9, processes=2, read_bytes=3, written_bytes=4)
    second = Usage(cpu_s=2.0, memory_bytes=6, memory_peak_bytes=9, processes=2, read_bytes=7, written_bytes=8)
    monitor = create_monitor(ResourceLimits(memory_bytes=8, processes=2))
    monitor.start(Launch(first, second))
    seen = monitor.snapshot()
    assert (seen.cpu_s, seen.memory_bytes, seen.memory_peak_bytes, seen.processes) == (1.0, 5, 9, 2)
    assert (seen.read_bytes, seen.written_bytes) == (3, 4)
    assert monitor.violations() == (Verdict("memory", 8, 9, "bytes"),)
    last = monitor.stop()
    assert (last.cpu_s, last.memory_bytes, last.read_bytes, last.written_bytes) == (2.0, 6, 7, 8)
    assert monitor.snapshot() == last


def test_counters_that_are_missing_are_looked_for_in_the_processes(worker):
    process = worker()
    monitor = create_monitor(ResourceLimits())
    monitor.start(Launch(Usage(cpu_s=77.0, processes=5), None, pid=process.pid))
    seen = monitor.snapshot()
    assert (seen.cpu_s, seen.processes) == (77.0, 5)
    assert 100 << 20 <= seen.memory_bytes < 200 << 20
    monitor.stop()


def test_a_launch_without_counters_is_its_command_and_what_that_starts(worker):
    worker()
    process = worker()
    monitor = create_monitor(ResourceLimits())
    monitor.start(Launch(pid=process.pid))
    assert monitor.snapshot().processes == 1
    worker()
    assert monitor.snapshot().processes == 2
    monitor.stop()


def test_bytes_that_reach_the_disk_are_counted(tmp_path):
    monitor = create_monitor(ResourceLimits())
    monitor.start(os.getpid())
    script = "import os, sys; f = open(sys.argv[1], 'wb'); f.write(bytes(1 << 20)); f.flush(); os.fsync(f)"
    command = [sys.executable, "-c", script + "; print(flush=True); input()", tmp_path / "f"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        written_bytes = monitor.snapshot().written_bytes
        process.communicate(b"\n")
    if not written_bytes:
        pytest.skip("this file system or kernel counts no bytes of processes")
    assert written_bytes >= 1 << 20


def test_limits_are_passed_when_the_use_is_above_them():
    use = Snapshot(wall_s=2.0, cpu_s=2.0, memory_peak_bytes=2, processes_peak=2)
    at = ResourceLimits(wall_time_s=2.0, cpu_time_s=2.0, memory_bytes=2, processes=2)
    below = ResourceLimits(wall_time_s=1.0, cpu_time_s=1.0, memory_bytes=1, processes=1)
    assert exceeded(at, use) == exceeded(ResourceLimits(), use) == ()
    assert [str(verdict) for verdict in exceeded(below, use)] == [
        "memory limit of 1 bytes reached (used 2 bytes)",
        "cpu limit of 1 s reached (used 2 s)",
        "processes limit of 1 processes reached (used 2 processes)",
        "wall-time limit of 1 s reached (used 2 s)",
    ]
