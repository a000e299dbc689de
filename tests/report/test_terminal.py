"""The terminal: drawn on a real pseudo-terminal, and left as it was found."""

import os
import pty
import re
import subprocess
import sys
import termios
import threading

import pytest

from bldr.api.events import AnalysisFinished, BuildFinished
from bldr.report.terminal import Progress, TerminalListener

COLOUR = re.compile(rb"\x1b\[[0-9;]*3[0-9][0-9;]*m")


class Clock:
    """A second passes at every look, so that every drawing is due."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        self.now_s += 1.0
        return self.now_s


@pytest.fixture
def terminal(monkeypatch):
    """A pseudo-terminal of 60 columns: a stream to write to, and a function that closes it and returns what came."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "24")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 60))
    received = bytearray()

    def drain():
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # EIO: the other side is closed
                return
            received.extend(chunk)

    reader = threading.Thread(target=drain)
    reader.start()
    out = os.fdopen(theirs, "w")

    def finish():
        out.close()
        reader.join()
        return bytes(received)

    yield out, finish
    if not out.closed:
        finish()
    os.close(ours)


@pytest.fixture
def build(started, finished, tmp_path):
    """The events of a build of two actions, one of which fails with a hostile log."""
    log = tmp_path / "log"
    log.write_bytes(b"\x1b]52;c;cm0gLXJm\x07main.c:1:1: [bold]error[/bold]: bad\x1b[2J\n")
    return [
        AnalysisFinished(targets=2, actions=2, tests=0),
        started(1),
        started(2, "//lib:lib", "CcCompile", "Compiling lib/" + "very-long-name-" * 10 + "end.c"),
        finished(1, status="failed", exit_code=1, log=str(log), remaining=1),
        finished(2, "//lib:lib", remaining=0),
        BuildFinished(success=False, exit_code=1, ran=2, cached=0, failed=1, duration_s=2.0),
    ]


def show(out, events):
    listener = TerminalListener(out, clock=Clock())
    for event in events:
        listener.on_event(event)
        listener.tick()
    listener.close()


def test_running_actions_are_drawn_and_failures_stay_in_full(terminal, build):
    out, finish = terminal
    show(out, build)
    shown = finish()
    assert b"2 running" in shown
    assert b"Compiling app/main.c" in shown
    assert b"FAILED //app:app: Compiling app/main.c: exit code 1" in shown
    assert b"main.c:1:1: [bold]error[/bold]: bad" in shown  # text, not markup
    assert shown.rstrip().endswith(b"failed: 1 failed, 2 ran, 0 cached in 2.0s")
    assert COLOUR.search(shown)


def test_what_an_action_prints_cannot_act_on_the_terminal(terminal, build):
    out, finish = terminal
    show(out, build)
    shown = finish()
    assert b"\x1b]52" not in shown
    assert b"\x1b[2J" not in shown


def test_drawn_lines_fit_the_terminal(terminal, build):
    out, finish = terminal
    show(out, build)
    plain = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", finish()).decode()
    drawn = [line for line in re.split("[\r\n]+", plain) if "very-long-name" in line]
    assert drawn
    assert all(len(line) <= 60 and "..." in line and line.endswith("end.c") for line in drawn)


def test_the_cursor_is_shown_again_also_when_the_build_is_interrupted(terminal, build):
    out, finish = terminal
    show(out, build[:3])
    shown = finish()
    assert shown.count(b"\x1b[?25l") == 1
    assert shown.rfind(b"\x1b[?25h") > shown.rfind(b"\x1b[?25l")


def test_no_color_is_respected(terminal, build, monkeypatch):
    out, finish = terminal
    monkeypatch.setenv("NO_COLOR", "1")
    show(out, build)
    shown = finish()
    assert b"FAILED" in shown
    assert not COLOUR.search(shown)


def test_a_build_of_which_nothing_runs_draws_nothing_and_does_not_import_rich():
    code = """
import io, sys
from bldr.api.events import AnalysisFinished, BuildFinished
from bldr.report.terminal import TerminalListener
out = io.StringIO()
listener = TerminalListener(out)
listener.on_event(AnalysisFinished(targets=1, actions=3, tests=0))
listener.on_event(BuildFinished(success=True, exit_code=0, ran=0, cached=3, failed=0))
listener.close()
assert not [name for name in sys.modules if name.split(".")[0] in ("rich", "asyncio")], sys.modules.keys()
print(out.getvalue(), end="")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("done: 0 ran, 3 cached in 0.0s\n", "")


def test_drawing_starts_no_thread(terminal, build):
    out, _ = terminal
    before = threading.active_count()
    listener = TerminalListener(out, clock=Clock())
    for event in build[:4]:
        listener.on_event(event)
        assert threading.active_count() == before
    listener.close()


def test_progress_counts_names_the_longest_running_first_and_estimates(started, finished):
    progress = Progress()
    progress.add(AnalysisFinished(targets=1, actions=20, tests=0), 0.0)
    for number in range(5):
        progress.add(started(number, "//a:a", message=f"Compiling {number}"), float(number))
    assert progress.lines(10.0, 3) == [
        "[0/20] 5 running, 10.0s",
        "    10.0s //a:a: Compiling 0",
        "     9.0s //a:a: Compiling 1",
        "          and 3 more",
    ]
    for number in range(5):
        progress.add(finished(number, status="failed" if number == 4 else "ok", remaining=19 - number), 20.0)
    assert progress.remaining_s(20.0) == pytest.approx(60.0)  # five in twenty seconds, fifteen to go
    assert progress.remaining_s(32.0) == pytest.approx(48.0)
    assert progress.remaining_s(200.0) == 0.0
    assert progress.lines(20.0, 3) == ["[5/20] 0 running, 1 failed, 20.0s, about 1m 00s left"]


def test_too_early_for_an_estimate(started, finished):
    progress = Progress()
    progress.add(started(1), 0.0)
    progress.add(finished(1, remaining=9), 5.0)
    assert progress.remaining_s(5.0) is None
    assert progress.lines(5.0, 3) == ["[1/10] 0 running, 5.0s"]
