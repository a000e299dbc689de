"""Whole builds on a Windows, with the sandbox that it has: what a person types, and what is there afterwards."""

import json
import os
import subprocess
import sys

import psutil
import pytest

pytestmark = pytest.mark.wine

FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open(sys.argv[1] + ".new", "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
os.replace(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
"""


class Workspace:
    """A directory with Builderfiles, and bldr in it with a cache of its own."""

    def __init__(self, place):
        self.root = place / "workspace"
        self.root.mkdir()
        self.env = {**os.environ, "XDG_CACHE_HOME": str(place / "cache"), "LOCALAPPDATA": str(place / "cache")}

    def write(self, files):
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, newline="\n")

    def start(self, *words):
        command = [sys.executable, "-m", "bldr", *words]
        return subprocess.Popen(
            command, cwd=self.root, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def bldr(self, *words):
        """The exit code and what was printed."""
        process = self.start(*words)
        try:
            out, _ = process.communicate(timeout=120)
        finally:
            process.kill()
        return process.returncode, out


@pytest.fixture
def workspace(tmp_path):
    made = Workspace(tmp_path)
    made.write({"Builderfile": '[workspace]\nname = "demo"\n'})
    return made


def command(name, program, *, sources="[]", more=""):
    """A target whose action is this program in Python."""
    argv = json.dumps([sys.executable, "-c", program])
    return f'[target.{name}]\ntype = "command"\nsources = {sources}\noutputs = ["{name}.txt"]\ncommand = {argv}\n{more}'


UPPER = "open('words/upper.txt', 'w').write(open('words/words.txt').read().upper())"


@pytest.fixture
def words(workspace):
    """A target that reads a source and writes an output."""
    workspace.write(
        {
            "words/words.txt": "two words\n",
            "words/Builderfile": command("upper", UPPER, sources='["words.txt"]'),
        }
    )
    return workspace


def test_a_build_gives_the_declared_outputs_and_the_next_one_takes_them_from_the_cache(words):
    code, out = words.bldr("build", "//...")
    assert code == 0, out
    assert "1 ran, 0 cached" in out
    assert (words.root / "bldr-out/words/upper.txt").read_text() == "TWO WORDS\n"
    code, out = words.bldr("build", "//...")
    assert code == 0, out
    assert "0 ran" in out
    words.write({"words/words.txt": "three words\n"})
    code, out = words.bldr("build", "//...")
    assert "1 ran" in out
    assert (words.root / "bldr-out/words/upper.txt").read_text() == "THREE WORDS\n"


def test_what_one_target_makes_another_one_reads(words):
    program = "open('words/length.txt', 'w').write(str(len(open('words/upper.txt').read())))"
    with open(words.root / "words/Builderfile", "a") as file:
        file.write(command("length", program, sources='[":upper"]'))
    code, out = words.bldr("build", "//...")
    assert code == 0, out
    assert (words.root / "bldr-out/words/length.txt").read_text() == "10"


def test_a_failure_says_what_the_command_said(workspace):
    workspace.write(
        {"Builderfile": '[workspace]\nname = "demo"\n' + command("bad", "import sys; sys.exit('no such luck')")}
    )
    code, out = workspace.bldr("build", "//...")
    assert code == 1
    assert "no such luck" in out
    assert "exit code 1" in out


def test_hermetic_refuses_and_names_what_windows_cannot_give(words):
    code, out = words.bldr("build", "--hermetic", "//...")
    assert code == 5
    for guarantee in ("fs-read", "fs-write", "paths", "network", "pids", "ipc", "users", "syscalls"):
        assert guarantee in out, f"{guarantee} is not named:\n{out}"
    assert not (words.root / "bldr-out/words/upper.txt").exists()


def test_with_the_best_isolation_what_is_missing_is_said_and_recorded(words):
    events = words.root / "events.jsonl"
    code, out = words.bldr("build", "--isolation=best", f"--events={events}", "//...")
    assert code == 0, out
    assert 'the sandbox "windows" does not give fs-read, fs-write, paths, network' in out
    recorded = [json.loads(line) for line in events.read_text().splitlines()]
    isolations = [event["isolation"] for event in recorded if isinstance(event.get("isolation"), dict)]
    assert isolations, recorded
    assert {"env", "wall-time"} <= set(isolations[0])
    assert not {name for name in ("fs-read", "network") if isolations[0].get(name)}


def test_a_deadline_ends_an_action_with_all_its_processes(workspace):
    pids = workspace.root.parent / "pids"
    program = FAMILY.replace("sys.argv[1]", repr(str(pids)))
    target = command("slow", program, more='[target.slow.hermetic]\ntimeout = "3s"\n')
    workspace.write({"a/Builderfile": target})
    code, out = workspace.bldr("build", "//...")
    assert code == 1
    assert "wall-time limit of 3 s reached" in out
    assert not alive(pids)


def test_killing_bldr_ends_what_it_runs(workspace, until):
    pids = workspace.root.parent / "pids"
    program = FAMILY.replace("sys.argv[1]", repr(str(pids)))
    workspace.write({"a/Builderfile": command("slow", program)})
    process = workspace.start("build", "//...")
    until(pids.exists)
    assert alive(pids)
    process.kill()  # TerminateProcess: nothing of bldr's own runs any more
    process.wait()
    until(lambda: not alive(pids))


def alive(file):
    return [pid for pid in map(int, file.read_text().split()) if psutil.pid_exists(pid)]


@pytest.mark.parametrize("output", [r"..\..\escaped.txt", "C:/escaped.txt", "NUL", "a.txt:stream", "a.txt."])
def test_an_output_that_would_be_another_file_is_refused(workspace, output):
    target = f'[target.bad]\ntype = "command"\noutputs = [\'{output}\']\ncommand = ["cmd", "/c", "exit"]\n'
    workspace.write({"Builderfile": f'[workspace]\nname = "demo"\n{target}'})
    code, out = workspace.bldr("build", "//...")
    assert code not in (0, 1), out
    assert output in out
    assert "Traceback" not in out


def test_outputs_that_differ_in_case_alone_are_one(workspace):
    target = '[target.{0}]\ntype = "command"\noutputs = [\'{1}\']\ncommand = ["cmd", "/c", "exit"]\n'
    both = target.format("one", "deep/a.txt") + target.format("two", "Deep/A.txt")
    workspace.write({"Builderfile": f'[workspace]\nname = "demo"\n{both}'})
    code, out = workspace.bldr("build", "//...")
    assert code not in (0, 1), out
    assert 'is made by "//:one" too' in out


def test_a_program_that_crashes_has_the_exit_code_that_windows_gave_it(workspace):
    """Of a process that ends as `bldr` does."""
    program = "import bldr.cli.main as main; main.main = lambda **_: 3221225477; main.run_process()"
    done = subprocess.run([sys.executable, "-c", program], cwd=workspace.root, env=workspace.env, timeout=60)
    assert done.returncode == 3221225477
