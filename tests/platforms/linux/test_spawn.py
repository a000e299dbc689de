"""The launcher's process: started when it is needed, or waiting since the build before."""

import os
import signal

import pytest

from bldr.snapshot import check
from bldr_linux import spawn
from bldr_linux.sandbox import LinuxSandbox


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    while spawn._ready:
        spawn._ready.pop().end()


def children():
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return {int(word) for word in file.read().split()}


def test_the_one_that_was_got_ready_is_the_next():
    before = children()
    spawn.get_ready()
    spawn.get_ready()
    (ready,) = children() - before
    first, second = spawn.start(), spawn.start()
    assert first.pid == ready
    assert second.pid != ready
    first.end()
    second.end()
    assert children() == before


def test_a_build_that_knows_its_name_alone_can_get_it_ready():
    check._get_ready(LinuxSandbox.starter)
    (ready,) = spawn._ready
    process = spawn.start()
    assert process is ready
    process.end()


def test_one_that_was_killed_meanwhile_is_replaced():
    spawn.get_ready()
    (ready,) = spawn._ready
    os.kill(ready.pid, signal.SIGKILL)
    os.waitid(os.P_PID, ready.pid, os.WEXITED | os.WNOWAIT)
    process = spawn.start()
    assert process.pid != ready.pid
    assert process.is_there
    process.end()


def test_it_ends_with_whoever_got_it_ready(until):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        spawn.get_ready()
        os.write(writing, b"%d" % spawn._ready[0].pid)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    pid = int(os.read(reading, 100))
    os.close(reading)
    os.close(writing)
    until(lambda: not os.path.exists(f"/proc/{pid}"))
