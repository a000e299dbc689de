"""`bldr build` is served by the build of a `bldr watch` of the same: real watchers, and clients that cannot build."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

FILES = {
    "Builderfile": """
        [target.joined]
        type = "command"
        sources = ["a.txt", "b.txt"]
        outputs = ["joined.txt"]
        command = "if grep -q slow a.txt; then sleep 3; fi; if grep bad a.txt; then exit 3; fi; cat $SRCS > $OUT"
    """,
    "a.txt": "a\n",
    "b.txt": "b\n",
}
UNKNOWN = 42
slow_builds = pytest.mark.full  # each waits for seconds
BLDR = "from bldr.cli.main import run_process; run_process()"
PATIENT = """
import sys
from bldr.watch import client

client.PATIENCE_S = 60  # a machine that is busy is no watcher that is stopped
"""
ASK = f"""{PATIENT}
import time

code = client.ask(sys.argv[1:], time.monotonic_ns())
sys.exit({UNKNOWN} if code is None else code)
"""


def start(project, *words, code=ASK, **env):
    """A client. It only asks, or with `BLDR` builds where nobody does."""
    argv = project.command(*(words or ("build", "//...")))[3:]
    return subprocess.Popen(
        [sys.executable, "-c", code, *argv],
        cwd=project.root,
        env=project.env(PYTHONSAFEPATH="1", **env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process):
    stdout, stderr = process.communicate(timeout=100)
    return subprocess.CompletedProcess((), process.returncode, stdout, stderr)


def ask(project, *words, **more):
    return end(start(project, *words, **more))


def text(project):
    return project.out("joined.txt").read_text()


def timeless(said):
    return re.sub(r"\d+\.\ds", "TIME", said)


@pytest.fixture
def served(watch, until):
    """A function that starts a watcher whose builds answer those who ask for the same."""

    def make(files=FILES, *words, **env):
        project, watcher = watch(files, *words)
        asked = ("test", *words[1:]) if words[:1] == ("test",) else ("build", *(words or ("//...",)))
        until(lambda: ask(project, *asked, **env).returncode != UNKNOWN)
        return project, watcher

    return make


@pytest.fixture
def slow(served, until):
    """A project whose watcher is in the midst of a build of three seconds, and a client that waits for the same."""
    project, watcher = served()
    project.write({"a.txt": "slow\n"})
    client = start(project, code=PATIENT + BLDR)
    until(lambda: "changed: a.txt" in watcher.said)
    time.sleep(0.5)
    assert client.poll() is None
    return project, watcher, client


def test_an_edit_is_built_once_and_told_to_whoever_asks(served, until):
    project, watcher = served()
    for content in ("second\n", "third\n"):
        builds = watcher.builds
        project.write({"a.txt": content})
        asked = ask(project)
        assert asked.returncode == 0
        assert re.fullmatch(r"done: [01] ran, [01] cached in \d+\.\ds\n", asked.stderr)
        assert text(project) == f"{content}b\n"
        until(lambda: watcher.waits)
        assert watcher.said.count("done: 1 ran") == watcher.builds
        assert watcher.builds == builds + 1


def test_whoever_asks_while_nothing_has_changed_disturbs_nobody(served):
    project, watcher = served()
    said = watcher.said
    assert [ask(project).stderr[:22] for _ in range(5)] == ["done: 0 ran, 1 cached "] * 5
    for snapshot in (project.cache / "v1/snapshots").iterdir():  # so that nobody knows without a build
        snapshot.unlink()
    assert ask(project).stderr.startswith("done: 0 ran, 1 cached ")
    assert watcher.said == said


def test_a_new_builderfile_counts(served):
    project, _ = served()
    project.write({"Builderfile": project.read("Builderfile").replace("cat $SRCS", "cat $SRCS $SRCS")})
    assert ask(project).returncode == 0
    assert text(project) == "a\nb\na\nb\n"


def test_a_failure_is_shown_as_the_build_itself_shows_it(served):
    project, _ = served()
    project.write({"a.txt": "bad\n"})
    asked = ask(project)
    alone = ask(project, code=BLDR, SOMETHING="else")
    assert (asked.returncode, asked.stdout) == (alone.returncode, alone.stdout) == (1, "")
    assert "FAILED" in asked.stderr
    assert "\nbad\n" in asked.stderr
    assert timeless(asked.stderr) == timeless(alone.stderr)
    project.write({"a.txt": "good\n"})
    assert ask(project).returncode == 0
    assert text(project) == "good\nb\n"


def test_tests_are_served_to_who_tests(served):
    files = {
        "Builderfile": """
            [target.unit]
            type = "test"
            language = "c"
            sources = ["unit.c"]
        """,
        "unit.c": "int main(void) { return 0; }\n",
    }
    project, _ = served(files, "test", "//...")
    project.write({"unit.c": "int main(void) { return 1; }\n"})
    asked = ask(project, "test", "//...")
    alone = ask(project, "test", "//...", code=BLDR, SOMETHING="else")
    assert asked.returncode == alone.returncode
    assert asked.returncode not in (0, UNKNOWN)
    assert "FAILED" in asked.stderr
    assert timeless(asked.stdout).replace(" (cached)", "") == timeless(alone.stdout).replace(" (cached)", "")
    assert "//:unit" in asked.stdout


def test_who_asks_for_something_else_is_not_served(served):
    project, _ = served()
    project.write({"a.txt": "edited\n"})
    assert ask(project, SOMETHING="else").returncode == UNKNOWN
    assert ask(project, "build", "-k", "//...").returncode == UNKNOWN
    assert ask(project, "build", "//:joined").returncode == UNKNOWN
    assert ask(project, code="import os; os.mkdir('below'); os.chdir('below')\n" + ASK).returncode == UNKNOWN


@pytest.mark.parametrize("words", [("-v", "//..."), ("--format", "json", "//..."), ("--events", "e.jsonl", "//...")])
def test_what_says_more_than_a_build_of_the_watcher_is_not_served(watch, words):
    project, _ = watch(FILES, *words)
    for content in "xy":
        project.write({"a.txt": content})
        assert ask(project, "build", *words).returncode == UNKNOWN


def test_a_variable_of_the_shell_that_a_target_inherits_decides(served):
    project, _ = served()
    project.write({"a.txt": "edited\n"})
    assert ask(project, COLUMNS="12").returncode == 0
    project.write({"Builderfile": project.read("Builderfile") + 'env_inherit = ["COLUMNS"]\n'})
    assert ask(project, COLUMNS="12").returncode == UNKNOWN
    assert ask(project).returncode == 0


def test_what_a_watcher_has_loaded_must_not_be_older_than_what_is_installed(served, tmp_path, monkeypatch):
    library = tmp_path / "lib"
    library.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(library), prepend=os.pathsep)
    time.sleep(0.2)  # older than the watcher
    made, _ = served(FILES)
    (library / "something.egg-info").touch()
    made.write({"Builderfile": made.read("Builderfile").replace("cat $SRCS", "cat $SRCS $SRCS")})
    assert ask(made).returncode == UNKNOWN


@slow_builds
def test_who_is_interrupted_ends_alone(slow, until):
    project, watcher, client = slow
    client.send_signal(signal.SIGINT)
    assert end(client).returncode == 8
    until(lambda: watcher.waits)
    assert text(project) == "slow\nb\n"
    assert "interrupted" not in watcher.said
    assert ask(project).returncode == 0


@slow_builds
def test_who_dies_while_waiting_disturbs_nobody(slow):
    project, watcher, client = slow
    client.kill()
    client.wait()
    assert ask(project).returncode == 0
    assert text(project) == "slow\nb\n"
    assert watcher.process.poll() is None


@slow_builds
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_who_waits_for_a_watcher_that_ends_or_stops_builds_himself(slow, number):
    project, watcher, client = slow
    watcher.process.send_signal(number)
    ended = end(client)
    assert ended.returncode == 0, ended
    assert "done: " in ended.stderr
    assert text(project) == "slow\nb\n"


def test_a_stopped_watcher_is_passed_by(served):
    project, watcher = served()
    project.write({"a.txt": "edited\n"})
    watcher.process.send_signal(signal.SIGSTOP)
    assert ask(project, code=BLDR).returncode == 0
    assert text(project) == "edited\nb\n"


@slow_builds
def test_a_builder_that_is_killed_leaves_nobody_waiting(slow):
    project, watcher, client = slow
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(watcher.process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    os.kill(int(children[0]), signal.SIGKILL)
    assert end(client).returncode == 0
    assert text(project) == "slow\nb\n"


@slow_builds
def test_what_changes_during_a_build_is_in_what_is_told_afterwards(slow):
    project, _, _ = slow
    project.write({"b.txt": "changed meanwhile\n"})
    assert ask(project).returncode == 0
    assert text(project) == "slow\nchanged meanwhile\n"


@slow_builds
def test_a_build_that_began_before_is_not_what_is_told(slow):
    """Of a file with another name elsewhere nobody tells: only a build that began afterwards has looked at it."""
    project, _, first = slow
    elsewhere = project.root.with_name("elsewhere.txt")
    shutil.copy(project.root / "b.txt", elsewhere)
    os.link(elsewhere, project.root / "b.new")
    (project.root / "b.new").replace(project.root / "b.txt")
    assert end(first).returncode == 0
    assert ask(project).returncode == 0
    project.write({"a.txt": "slow again\n"})
    second = start(project)
    time.sleep(1)
    elsewhere.write_text("written elsewhere\n")
    third = start(project)
    assert [end(second).returncode, end(third).returncode] == [0, 0]
    assert text(project) == "slow again\nwritten elsewhere\n"


def test_two_who_ask_are_both_told(served, until):
    project, watcher = served()
    project.write({"a.txt": "for both\n"})
    both = [start(project), start(project)]
    assert [end(each).returncode for each in both] == [0, 0]
    assert text(project) == "for both\nb\n"
    until(lambda: watcher.waits)
    assert watcher.said.count("done: 1 ran") == watcher.builds


@slow_builds
def test_who_waits_longer_is_told_why_unless_quiet(slow):
    _, _, client = slow
    ended = end(client)
    assert ended.stderr.startswith("warning: bldr watch builds this already: waiting for it\nhint: ^C ends")
    assert "done: " in ended.stderr


@slow_builds
def test_who_is_quiet_hears_nothing(served):
    project, _ = served(FILES, "-q", "//...")
    project.write({"a.txt": "slow\n"})
    asked = ask(project, "build", "-q", "//...")
    assert (asked.returncode, asked.stderr) == (0, "")
    assert text(project) == "slow\nb\n"


def test_a_terminal_of_the_watcher_does_not_show_in_what_is_told(project, until):
    made = project(FILES)
    ours, theirs = pty.openpty()
    environment = {"PYTHONSAFEPATH": "1", "TERM": "xterm-256color"}
    watcher = subprocess.Popen(
        made.command("watch", "//..."),
        cwd=made.root,
        env=made.env(**environment),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    try:
        until(lambda: ask(made, TERM="xterm-256color").returncode != UNKNOWN)
        made.write({"a.txt": "bad\n"})
        asked = ask(made, TERM="xterm-256color")
        assert asked.returncode == 1
        assert "FAILED" in asked.stderr
        assert "\x1b" not in asked.stderr
        shown = b""
        while b"FAILED" not in shown:
            shown += os.read(ours, 1 << 16)
        assert b"\x1b" in shown
    finally:
        watcher.terminate()
        watcher.wait()
        os.close(ours)
        os.close(theirs)


@pytest.mark.root
def test_what_is_mounted_elsewhere_keeps_nobody_from_being_served(served, tmp_path):
    project, _ = served()
    place = tmp_path / "elsewhere"
    place.mkdir()
    for number in range(2):
        subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
        subprocess.run(["umount", place], check=True)
        project.write({"a.txt": f"{number}\n"})
        assert ask(project).returncode == 0
        assert text(project) == f"{number}\nb\n"
