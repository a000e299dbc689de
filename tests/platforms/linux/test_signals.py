"""What pid 1 owes its sandbox: signals passed on, the dead collected, the right end told; or no pid 1 of ours."""

import os
import select
import signal
import time
from pathlib import Path

import pytest

from bldr.api import ProcessPolicy

PASSED_ON = ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "WINCH")
LISTENS = "trap 'echo {0}; exit 7' {0}; echo ready; while :; do sleep 0.02; done"


@pytest.fixture
def listening(box):
    """A command that has said that it is ready."""

    def start(script, **options):
        launch = box.start("sh", "-c", script, **options)
        out, _ = box.logs[launch]
        box.until(lambda: os.pread(out.fileno(), 100, 0).startswith(b"ready"))
        return launch

    return start


@pytest.mark.parametrize("name", PASSED_ON)
def test_signals_reach_the_command(box, listening, name):
    launch = listening(LISTENS.format(name))
    box.launcher.signal(launch, signal.Signals[f"SIG{name}"])
    ended = box.wait(launch)
    assert (ended.out, ended.exit_code, ended.exit.verdict) == (f"ready\n{name}\n", 7, None)


def test_the_end_by_a_signal_is_told(box, listening):
    for name in ("TERM", "KILL", "USR1"):
        number = signal.Signals[f"SIG{name}"]
        launch = listening("echo ready; exec sleep 1000")
        box.launcher.signal(launch, number)
        exit = box.wait(launch).exit
        assert (exit.exit_code, exit.signal) == (128 + number, number)


def test_children_of_the_command_hear_of_it(box, listening):
    launch = listening(
        "trap : TERM; (trap 'echo child; exit' TERM; echo ready; while :; do sleep 0.02; done) & wait; wait"
    )
    box.launcher.signal(launch, signal.SIGTERM)
    assert "child\n" in box.wait(launch).out


@pytest.mark.parametrize("name", ["TSTP", "TTIN", "TTOU"])
def test_a_job_can_be_stopped_and_continued(box, listening, name):
    launch = listening("echo ready; i=0; while [ $i -lt 30 ]; do i=$((i + 1)); echo $i; sleep 0.01; done")
    box.launcher.signal(launch, signal.Signals[f"SIG{name}"])
    (out, _) = box.logs[launch]
    sizes = [-1, -2]
    while len(set(sizes[-40:])) > 1:
        sizes.append(os.fstat(out.fileno()).st_size)
        time.sleep(0.005)
    assert not [end for end in box.launcher.reap() if end.launch_id == launch], "it was to be stopped"
    box.launcher.signal(launch, signal.SIGCONT)
    assert box.wait(launch).out.endswith("\n30\n")


def test_insiders_cannot_pretend_to_be_outside(box):
    """A signal to pid 1 from inside is nobody's business but its sender's."""
    ended = box.sh(
        "trap 'echo heard; exit 3' TERM USR1; for i in 1 2 3; do kill -TERM 1; kill -USR1 1; done; sleep 0.1"
    )
    assert (ended.out, ended.exit_code) == ("", 0)
    assert box.sh("kill -KILL 1; kill -STOP 1; echo alive").out == "alive\n"


def test_a_storm_of_signals_and_zombies(box, listening):
    """Thousands of signals from outside and inside, thousands of orphans to reap: the command's end is still told."""
    script = """
        trap : USR1 USR2
        echo ready
        i=0
        while [ $i -lt 1500 ]; do (true & kill -USR2 1) & i=$((i + 1)); done
        wait
        echo done
        exit 5
    """
    launch = listening(script)
    sent = 0
    while launch not in box.ended:
        box.launcher.signal(launch, signal.SIGUSR1)
        sent += 1
        for exit in box.launcher.reap():
            box.ended[exit.launch_id] = exit
    ended = box.wait(launch)
    assert (ended.exit_code, ended.out) == (5, "ready\ndone\n")
    assert sent > 100


def test_no_zombie_is_left_to_the_command(box):
    counted = "sleep 0.2; grep -l 'State:.Z' /proc/[0-9]*/status | wc -l"
    orphans = "for i in 1 2 3 4 5 6 7 8; do (sleep 0.01 & true) & done; wait"
    assert box.sh(f"{orphans}; {counted}").out == "0\n"


def started(box, launch, patience_s=30):
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        select.select([box.launcher], [], [], 1)
        for one in box.launcher.started():
            if one.launch_id == launch:
                return one
    raise AssertionError("nothing was started")


def test_a_started_command_is_told_with_its_pid(box, listening):
    launch = box.start("sleep", "1000", announce=True)
    one = started(box, launch)
    assert os.readlink(f"/proc/{one.pid}/exe").endswith("/sleep") or os.geteuid() != 0
    arguments = Path(f"/proc/{one.pid}/cmdline")
    box.until(arguments.read_bytes)  # the kernel has the program a moment before its arguments
    assert arguments.read_bytes() == b"sleep\x001000\x00"
    signal.pidfd_send_signal(one.pidfd, signal.SIGTERM)
    assert box.wait(launch).exit.signal == signal.SIGTERM
    os.close(one.pidfd)


def test_what_was_not_asked_for_or_never_started_is_not_told(box):
    for launch in (box.start("true"), box.start("true", cwd="/no/such", announce=True)):
        box.wait(launch)
    assert box.launcher.started() == []


def test_the_command_can_be_pid_1_itself(box):
    alone = ProcessPolicy(as_pid_1=True)
    assert box.sh("echo $$; exit 9", process=alone).out == "1\n"
    assert box.sh("exit 9", process=alone).exit_code == 9
    assert box.run("no-such-program", process=alone).exit_code == 127
    launch = box.start("sleep", "1000", process=alone, announce=True)
    one = started(box, launch)
    box.launcher.signal(launch, signal.SIGTERM)  # pid 1 has no handler: the kernel spares it
    box.launcher.kill(launch)
    assert box.wait(launch).exit.signal == signal.SIGKILL
    os.close(one.pidfd)


def test_pid_1_of_the_command_s_own_is_as_confined(box):
    status = box.run("cat", "/proc/self/status", process=ProcessPolicy(as_pid_1=True)).out
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert (lines["Seccomp"], lines["NoNewPrivs"], int(lines["CapEff"], 16), int(lines["CapBnd"], 16)) == (
        "2",
        "1",
        0,
        0,
    )
    # Two signals more are glibc's own, and stay as whoever started us had them.
    assert [int(lines[name], 16) & 0x7FFFFFFF for name in ("SigBlk", "SigIgn", "SigCgt")] == [0, 0, 0]
