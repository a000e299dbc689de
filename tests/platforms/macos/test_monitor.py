"""What the processes of a launch use together, and the limits that are kept by looking at it."""

import ctypes
import os
import select
import signal
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from bldr.api import Launch, ProcessPolicy, ResourceLimits, SandboxSpec
from bldr_macos import monitor
from bldr_macos.monitor import TreeSampling, darwin_children_s, resident
from bldr_unmounted.launcher import UnmountedLauncher

FAMILY = """
import os, sys, time
family = os.getpid()
for _ in range(2):
    if os.fork() == 0:
        time.sleep(1000)
if os.fork() == 0:
    os.setsid()  # where no kill of the group reaches it
    while os.getppid() == family:
        time.sleep(0.1)
    os._exit(0)
while time.process_time() < 0.05:
    pass
print("ready", flush=True)
time.sleep(1000)
"""


class Unconfined:
    """Runs every command as it is."""

    def isolation(self, launch):
        return {}

    def confine(self, launch, command, program, scratch):
        return (program, *command.argv[1:])

    def close(self):
        pass


@pytest.fixture
def run(tmp_path):
    launchers = []

    def run_one(code, *, sampling, **sets):
        launcher = UnmountedLauncher(str(tmp_path), Unconfined(), sampling)
        launchers.append(launcher)
        with open(os.devnull) as null, open(tmp_path / "log", "wb") as log:
            launcher.start(
                Launch(
                    launch_id=1, spec=SandboxSpec(**sets), argv=(sys.executable, "-c", code), cwd="/",
                    stdin=null.fileno(), stdout=log.fileno(), stderr=log.fileno(),
                )
            )  # fmt: skip
        exits = []
        while not exits:
            select.select([launcher.fileno()], [], [])
            exits = list(launcher.reap())
        return exits[0]

    yield run_one
    for launcher in launchers:
        launcher.close()


def sampling(**more):
    made = TreeSampling(**more)
    made.interval_s = 0.02
    return made


def test_all_of_a_family_count_also_those_in_a_session_of_their_own():
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, start_new_session=True) as leader:
        try:
            assert leader.stdout.readline() == b"ready\n"
            usage = TreeSampling(lambda pid: 1000).usage(leader.pid)
            assert (usage.processes, usage.memory_bytes) == (4, 4000)
            assert usage.cpu_s > 0
        finally:
            for process in [*psutil.Process(leader.pid).children(recursive=True), psutil.Process(leader.pid)]:
                process.kill()


def test_those_that_left_the_session_are_searched_for_once_a_second(monkeypatch):
    walks = []
    known = psutil.Process.children
    monkeypatch.setattr(
        psutil.Process, "children", lambda self, recursive=False: walks.append(1) or known(self, recursive)
    )
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, start_new_session=True) as leader:
        try:
            leader.stdout.readline()
            taken, clock_s = TreeSampling(lambda pid: 1), [100.0]
            monkeypatch.setattr(monitor, "time", SimpleNamespace(monotonic=lambda: clock_s[0]))
            assert [taken.usage(leader.pid).processes for _ in range(3)] == [4, 4, 4]
            once = len(walks)
            clock_s[0] += 1
            assert taken.usage(leader.pid).processes == 4
            assert len(walks) == 2 * once > 0
        finally:
            below = known(psutil.Process(leader.pid), True)
            for process in [*below, psutil.Process(leader.pid)]:
                process.kill()
    psutil.wait_procs(below, timeout=30)
    assert taken.usage(leader.pid) is None


def test_who_is_gone_uses_nothing():
    child = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    child.wait()
    assert TreeSampling().usage(child.pid) is None
    assert resident(child.pid) is None


def test_resident_memory_is_that_of_one_process():
    assert resident(os.getpid()) > 1 << 20


def test_a_process_that_passes_its_memory_is_killed_with_a_verdict(run):
    code = "import time; b = b'x' * (80 << 20); time.sleep(1000)"
    end = run(code, sampling=sampling(), resources=ResourceLimits(memory_bytes=60 << 20))
    # Python itself may be told first: RLIMIT_DATA bounds each single process.
    assert end.exit_code
    shared = run(FAMILY, sampling=sampling(footprint_bytes=lambda pid: 20 << 20),
                 resources=ResourceLimits(memory_bytes=70 << 20))  # fmt: skip
    assert (shared.verdict.limit, shared.verdict.value, shared.verdict.used) == ("memory", 70 << 20, 80 << 20)
    assert shared.usage.memory_peak_bytes >= 80 << 20


def test_too_many_processes_are_killed_with_a_verdict(run):
    end = run(FAMILY, sampling=sampling(), process=ProcessPolicy(max_children=2))
    assert (end.verdict.limit, end.verdict.value, end.verdict.used) == ("processes", 3, 4)


def test_time_of_all_processes_counts_together(run):
    """None of the four uses so much that the kernel would end it."""
    code = "import os, time\nos.fork(); os.fork()\nwhile time.process_time() < 0.4: pass\ntime.sleep(1000)"
    end = run(code, sampling=sampling(), resources=ResourceLimits(cpu_time_s=1.0))
    assert (end.verdict.limit, end.signal) == ("cpu", signal.SIGKILL)
    assert end.verdict.used >= 1.0


def test_children_that_a_process_has_waited_for_are_counted_in_units_of_the_kernel_s_clock(monkeypatch):
    class Library:
        def __init__(self, path, use_errno):
            assert (path, use_errno) == ("/usr/lib/libSystem.B.dylib", True)

        def proc_pid_rusage(self, pid, flavor, usage):
            usage._obj.child_user_time, usage._obj.child_system_time = 24_000_000, 12_000_000
            return 0 if (pid, flavor) == (7, 2) else -1

        def mach_timebase_info(self, unit):
            unit._obj.numer, unit._obj.denom = 125, 3
            return 0

    monkeypatch.setattr(ctypes, "CDLL", Library)
    assert darwin_children_s(7) == 1.5
    assert darwin_children_s(8) == 0.0
