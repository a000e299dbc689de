"""A process that takes too long is ended with its descendants; one that does not is left alone."""

import subprocess
import sys
import time

import psutil
import pytest

from bldr.hermetic import create_timeout_enforcer

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "1000"])
print(child.pid, flush=True)
time.sleep(1000)
"""


def is_dead(pid):
    for _ in range(500):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.01)
    return False


def test_a_process_that_takes_too_long_is_ended_politely():
    with subprocess.Popen(["sleep", "1000"]) as process, create_timeout_enforcer(process).start(0.1) as enforcer:
        assert process.wait() == -15
    assert enforcer.expired
    assert (enforcer.verdict.limit, enforcer.verdict.value) == ("wall-time", 0.1)
    assert enforcer.verdict.used >= 0.1


def test_one_that_does_not_listen_is_killed_with_its_children():
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as process:
        child = int(process.stdout.readline())
        with create_timeout_enforcer(process, grace_s=0.2).start(0.01):
            assert process.wait() == -9
        assert is_dead(child)


def test_one_that_ends_in_time_is_left_alone():
    with subprocess.Popen(["true"]) as process:
        process.wait()
        enforcer = create_timeout_enforcer(process).start(0.01)
        time.sleep(0.05)
        enforcer.stop()
    assert not enforcer.expired
    assert enforcer.verdict is None
    assert process.returncode == 0


def test_stopped_in_time_it_sends_no_signal():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        with create_timeout_enforcer(process).start(1000) as enforcer:
            pass
        process.communicate()
    assert (process.returncode, enforcer.expired) == (0, False)


def test_it_is_started_once():
    with subprocess.Popen(["true"]) as process:
        enforcer = create_timeout_enforcer(process).start(1000)
        with pytest.raises(RuntimeError, match="started before"):
            enforcer.start(1)
        enforcer.stop()
