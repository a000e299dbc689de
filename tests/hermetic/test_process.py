"""Single commands: launch, spawn, wait, launch_shell, check_host."""

import errno
import importlib
import os
import select
import socket
import sys
import tempfile
import threading

import pytest

from bldr.api import GUARANTEES, IsolationError, SpecError
from bldr.hermetic import (
    Exited,
    Host,
    SandboxSpecBuilder,
    SetupFinished,
    Spawned,
    check_host,
    launch,
    launch_shell,
    missing,
    spawn,
    wait,
)
from bldr_plain.sandbox import PlainSandbox


@pytest.fixture
def host(machine):
    return Host(machine.isolation, [machine.sandbox])


@pytest.fixture
def log(tmp_path):
    with open(tmp_path / "log", "w+b") as file:
        yield file


def printed(log):
    log.seek(0)
    return log.read().decode()


def test_launch_runs_to_the_end(host, build, log):
    end = launch(build().build(), ["sh", "-c", "echo said; exit 3"], host=host, stdout=log.fileno())
    assert (end.exit_code, printed(log)) == (3, "said\n")


def test_spawn_returns_at_once_and_wait_waits(host, build, log):
    reading, writing = os.pipe()
    process = spawn(build().build(), ["cat"], host=host, stdin=reading, stdout=log.fileno())
    os.close(reading)
    assert process.poll() is None
    with pytest.raises(TimeoutError):
        wait(process, 0.01)
    os.write(writing, b"late\n")
    os.close(writing)
    assert wait(process).exit_code == 0
    assert process.poll().exit_code == 0
    with pytest.raises(RuntimeError, match="waited for before"):
        wait(process)
    assert printed(log) == "late\n"


def test_a_process_can_be_waited_for_by_its_descriptor(host, build):
    told = []
    process = spawn(build().build(), ["true"], host=host, on_status=told.append)
    while process.poll() is None:
        select.select([process], [], [])
    assert [type(status) for status in told][-3:] == [Spawned, SetupFinished, Exited]


def test_kill_ends_everything(host, build):
    with spawn(build().build(), ["sleep", "1000"], host=host) as process:
        process.kill()
        assert process.wait().signal == 9
        process.kill()


def test_the_end_of_the_block_is_the_end_of_the_process(host, build):
    told = []
    with spawn(build().build(), ["sleep", "1000"], host=host, on_status=told.append):
        pass
    assert isinstance(told[-1], Exited)
    assert told[-1].exit.signal == 9


def test_a_shell_reads_a_script(host, build, place, capfd):
    script = f"cd {place}/src\ncat hello.txt\nfalse\necho never"
    end = launch_shell(build().build(), script, host=host)
    assert (end.exit_code, capfd.readouterr().out) == (1, "hello\n")


def test_a_thread_may_launch(host, build):
    ends = []
    thread = threading.Thread(target=lambda: ends.append(launch(build().build(), ["true"], host=host)))
    thread.start()
    thread.join()
    assert ends[0].exit_code == 0


def test_no_descriptor_is_lost(host, build):
    launch(build().build(), ["true"], host=host)
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        launch(build().build(), ["true"], host=host)
    assert len(os.listdir("/dev/fd")) == before


def test_only_the_standard_streams_are_open_in_the_sandbox(host, build, log):
    with open(os.devnull) as leak:
        os.set_inheritable(leak.fileno(), True)
        script = "for fd in /proc/self/fd/*; do readlink $fd >/dev/null && echo ${fd##*/}; done"
        launch(build().build(), ["sh", "-c", script], host=host, stdout=log.fileno())
    assert printed(log).split() == ["0", "1", "2"]


def test_spawn_fails_closed(build):
    plain = Host("require", [PlainSandbox()])
    with pytest.raises(IsolationError, match="the plain sandbox isolates nothing"):
        spawn(build().build(), ["true"], host=plain)


def test_a_contradiction_is_found_before_anything_runs(host):
    spec = SandboxSpecBuilder().build()
    contradiction = type(spec)(env=(("A", "1"), ("A", "2")))
    with pytest.raises(SpecError, match="A is both"):
        spawn(contradiction, ["true"], host=host)


STRANGE = """
import os
import socket
from bldr.api import IsolationError
from bldr_plain.sandbox import PlainSandbox


class Refusing(PlainSandbox):
    def open(self, root, *, map_caller=False, outlives=False):
        raise IsolationError("it does not open today", "come back tomorrow")


class Crashing(PlainSandbox):
    def open(self, root, *, map_caller=False, outlives=False):
        os._exit(3)
"""


@pytest.fixture
def strange(tmp_path, monkeypatch):
    """A module of platforms that do not work, as a plugin would bring it."""
    (tmp_path / "strange_platforms.py").write_text(STRANGE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("strange_platforms")
    del sys.modules["strange_platforms"]


def test_a_platform_that_does_not_open_says_so(build, strange):
    with pytest.raises(IsolationError) as caught:
        launch(build().build(), ["true"], host=Host("best", [strange.Refusing()]))
    assert (caught.value.message, caught.value.hint) == ("it does not open today", "come back tomorrow")


def test_a_platform_that_crashes_is_an_error(build, strange):
    with pytest.raises(IsolationError, match="ended before it began"):
        launch(build().build(), ["true"], host=Host("best", [strange.Crashing()]))


def test_check_host_tells_what_the_machine_can_give(machine):
    probe = check_host([machine.sandbox])
    assert probe.supported
    lacking = missing(GUARANTEES, probe.isolation)
    assert (not lacking) == machine.is_hermetic
    assert {shortfall.guarantee for shortfall in probe.shortfalls} >= set(lacking)
    with pytest.raises(IsolationError, match="no sandbox works"):
        check_host([])


@pytest.mark.parametrize("what", ["tempfile.mkdtemp", "bldr.hermetic.process._start_service"])
def test_a_service_that_cannot_be_started_says_why_and_leaves_nothing(host, build, tmp_path, monkeypatch, what):
    def refuse(*_, **__):
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(what, refuse)
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(IsolationError, match="resource temporarily unavailable") as raised:
        launch(build().build(), ["true"], host=host)
    assert raised.value.hint
    assert len(os.listdir("/dev/fd")) == before
    assert not list(tmp_path.glob("bldr-service-*"))


def test_a_system_whose_sockets_carry_no_descriptors_says_so(host, build, monkeypatch):
    monkeypatch.delattr(socket, "send_fds", raising=False)
    with pytest.raises(IsolationError, match="whose sockets carry no descriptors"):
        launch(build().build(), ["true"], host=host)
