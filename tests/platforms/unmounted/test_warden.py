"""Nothing goes on when the process of a launcher is killed, also where no kernel sees to it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from bldr_unmounted import process, warden
from bldr_unmounted.warden import Warden

PATIENCE_S = 30

ENGINE = """
import os, sys, time
from bldr.api import Launch, ProcessPolicy, SandboxSpec
from bldr_plain.sandbox import Unconfined
from bldr_unmounted import process
from bldr_unmounted.launcher import UnmountedLauncher
from bldr_unmounted.warden import Warden
process._death_signal = lambda: None  # as on macOS
launcher = UnmountedLauncher(sys.argv[1], Unconfined(), warden=Warden())
for word, kills in (("ends", True), ("stays", False)):
    spec = SandboxSpec(env=(("PATH", "/usr/bin:/bin"),), process=ProcessPolicy(kill_on_parent_exit=kills))
    launcher.start(Launch(launch_id=kills, spec=spec, argv=("sh", "-c", f"echo {word} $$; sleep 1000"), cwd="/",
                          stdin=0, stdout=1, stderr=2))
time.sleep(1000)
"""


def is_gone(pid, patience_s=PATIENCE_S):
    until_s = time.monotonic() + patience_s
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > until_s:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def sleeper():
    """Function: the number of a group of its own that sleeps."""
    children = []

    def start():
        children.append(subprocess.Popen(["sleep", "1000"], start_new_session=True))
        return children[-1].pid

    yield start
    for child in children:
        child.kill()
        child.wait()


def test_an_engine_that_is_killed_takes_its_actions_along_but_those_that_may_stay(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", ENGINE, tmp_path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as engine:
        told = dict(engine.stdout.readline().split() for _ in range(2))
        ends, stays = int(told[b"ends"]), int(told[b"stays"])
        os.kill(engine.pid, signal.SIGKILL)
        engine.wait()
        try:
            assert is_gone(ends)
            assert not is_gone(stays, patience_s=0)
        finally:
            process.signal_group(stays, signal.SIGKILL)


def test_groups_that_were_taken_back_are_left_alone(sleeper):
    ended, running, forgotten = sleeper(), sleeper(), sleeper()
    made = Warden()
    for group in (ended, running, forgotten):
        made.add(group)
    made.remove(forgotten)
    os.killpg(ended, signal.SIGKILL)
    made.close()
    assert is_gone(running)
    assert psutil.Process(forgotten).status() != psutil.STATUS_ZOMBIE


def test_a_warden_that_was_killed_breaks_nothing(sleeper):
    made = Warden()
    made._process.kill()
    made._process.wait()
    made.add(sleeper())
    made.close()


def test_it_is_there_where_the_kernel_does_nothing(monkeypatch):
    assert warden.is_needed() is (sys.platform != "linux")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert warden.is_needed()
