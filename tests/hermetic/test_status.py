"""What is told of a launch, to whom, and what goes on without anybody to tell."""

import json
import os
import select
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from bldr.api import Isolation, IsolationError, Level, Probe, ProcessPolicy, ResourceLimits, Shortfall
from bldr.hermetic import (
    Exited,
    Host,
    LaunchError,
    RuntimeInitWarnings,
    SetupFinished,
    Spawned,
    launch,
    spawn,
)

ALL = [RuntimeInitWarnings, Spawned, SetupFinished, Exited]


@pytest.fixture
def host(machine):
    return Host(machine.isolation, [machine.sandbox])


class Lacking:
    """A platform that cannot limit memory, and never comes to be opened."""

    name = "lacking"
    tree_layout = "copy"

    def probe(self):
        isolation: Isolation = {"fs-read": Level.KERNEL}
        short = Shortfall("memory", "no control group can be written", "run as root")
        return Probe("lacking", supported=True, isolation=isolation, shortfalls=(short,))


def test_statuses_come_in_their_order(host, build):
    told = []
    launch(build().build(), ["true"], host=host, on_status=told.append)
    assert [type(status) for status in told] == ALL
    told.clear()
    launch(build().build(), ["sh", "-c", "kill -9 $$"], host=host, on_status=told.append)
    assert [type(status) for status in told] == ALL
    assert told[-1].exit.signal == signal.SIGKILL


def test_one_end_is_told_also_where_set_up_fails(host, build):
    told = []
    with pytest.raises(LaunchError):
        launch(build().build(), ["true"], "/no/such/directory", host=host, on_status=told.append)
    assert [type(status) for status in told] == [RuntimeInitWarnings, Exited]
    assert told[-1].exit.failure is not None


def test_the_command_s_process_is_told(host, build):
    told = []
    with spawn(build().build(), ["sleep", "1000"], host=host, on_status=told.append) as process:
        # For a moment in the midst of execve(2) it has none, and whoever has started it goes on by then.
        deadline, words = time.monotonic() + 30, b""
        while not words and time.monotonic() < deadline:
            with open(f"/proc/{process.pid}/cmdline", "rb") as file:
                words = file.read()
        assert words.endswith(b"sleep\x001000\0")
        (spawned,) = [status for status in told if isinstance(status, Spawned)]
        assert (spawned.pid, spawned.pidfd) == (process.pid, process.pidfd)
        signal.pidfd_send_signal(process.pidfd, signal.SIGTERM)
        readable, _, _ = select.select([process.pidfd], [], [], 30)
        assert readable, "the descriptor does not tell of the end"
        assert process.wait().signal == signal.SIGTERM


def test_signals_are_sent_on(host, build):
    script = "trap 'exit 4' USR1; trap 'exit 5' TERM; while :; do sleep 0.02; done"
    with spawn(build().build(), ["sh", "-c", script], host=host) as process:
        assert process.pid > 0
        time.sleep(0.1)  # the shell sets its traps; one that comes too early ends it by the signal
        process.send_signal(signal.SIGUSR1)
        end = process.wait()
        assert end.exit_code in (4, 128 + signal.SIGUSR1)


def test_a_descriptor_gets_lines_of_json(host, build):
    reading, writing = os.pipe()
    launch(build().build(), ["sh", "-c", "exit 3"], host=host, on_status=writing)
    os.close(writing)
    with open(reading) as file:
        lines = [json.loads(line) for line in file]
    assert [line["status"] for line in lines] == ["runtime_init_warnings", "spawned", "setup_finished", "exited"]
    assert lines[1]["pid"] > 0
    assert lines[3]["exit"]["exit_code"] == 3
    assert set(lines[3]["exit"]["isolation"].values()) <= {"none", "supervised", "kernel"}


def test_a_reader_that_went_away_is_no_error(host, build):
    reading, writing = os.pipe()
    os.close(reading)
    assert launch(build().build(), ["true"], host=host, on_status=writing).exit_code == 0
    os.close(writing)


def test_warnings_stop_a_launch_on_request(build):
    spec = build().with_resources(ResourceLimits(memory_bytes=1 << 30)).build()
    host = Host("none", [Lacking()])
    assert [short.guarantee for short in host.warnings(spec)] == ["memory"]
    with pytest.raises(IsolationError, match="memory: no control group can be written"):
        spawn(spec, ["true"], host=host, stop_on_warnings=True)
    assert host.warnings(build().with_resources(ResourceLimits(cpus=1.0)).build()) == ()


PARENT = """
    import os, sys
    import msgspec
    from bldr.hermetic import Host, ProcessPolicy, spawn
    from bldr.hermetic import HermeticSpecBuilder
    from {module} import {name}
    spec = HermeticSpecBuilder.for_build([], [{output!r}]).build()
    spec = msgspec.structs.replace(spec, process=msgspec.structs.replace(spec.process, kill_on_parent_exit={kill}))
    open({output!r}, "w").close()
    script = "sleep 0.5; echo done > " + {output!r}
    process = spawn(spec, ["sh", "-c", script], host=Host({isolation!r}, [{name}()]))
    assert process.pid > 0
    print(process.pid, flush=True)
    os._exit(0)
"""


@pytest.mark.parametrize("kill", [True, False])
def test_the_end_of_the_parent(machine, place, kill):
    kind = type(machine.sandbox)
    output = f"{place}/done"
    program = textwrap.dedent(PARENT).format(
        module=kind.__module__, name=kind.__name__, output=output, kill=kill, isolation=machine.isolation
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    pid = int(ran.stdout)
    deadline = time.monotonic() + 30
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{pid}")
    with open(output) as file:
        assert file.read() == ("" if kill else "done\n")


def test_a_policy_says_who_outlives_whom(build):
    assert ProcessPolicy().kill_on_parent_exit
    assert build().build().process.kill_on_parent_exit
