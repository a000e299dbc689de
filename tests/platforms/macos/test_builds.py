"""Whole builds through the code path of macOS, on Linux: bldr installed as on a Mac, and a `sandbox-exec` that enforces
what the profiles say."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bldr.api import GUARANTEES
from bldr.testing.project import Project, copy_cache
from bldr_macos.guarantees import promised

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
HOSTILE = 'it\'s "quoted" \\back\\ (allow default) ;#|\n\t😀 é'
MISSING = [name for name in GUARANTEES if name not in promised(is_root=os.geteuid() == 0, loopback=False)[0]]


class OnAMac(Project):
    """A workspace that is built by a bldr whose platforms are those of a Mac."""

    def __init__(self, root, cache, site):
        super().__init__(root, cache)
        paths = [str(site), *(path for path in sys.path if path)]
        self.env |= {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}

    def start(self, *words):
        """A command that goes on."""
        env = {**self.env, "BLDR_CACHE_DIR": str(self.cache)}
        command = [sys.executable, "-m", "bldr", *words]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(command, cwd=self.root, env=env, **streams)


@pytest.fixture(scope="session")
def warm_cache(tmp_path_factory, site):
    """One in which the toolchains are staged."""
    top = tmp_path_factory.mktemp("warm-mac")
    warm = OnAMac(top / "workspace", top / "cache", site)
    warm.write("Builderfile", '[target.t]\ntype = "command"\noutputs = ["t"]\ncommand = "echo warm > $OUT"\n')
    warm.build().assert_ok()
    return warm.cache


@pytest.fixture
def project(tmp_path, warm_cache, site):
    copy_cache(warm_cache, tmp_path / "cache")
    return OnAMac(tmp_path / "workspace", tmp_path / "cache", site)


def command(text, **attributes):
    lines = "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in attributes.items())
    return f"[target.it]\ntype = \"command\"\noutputs = [\"out\"]\n{lines}command = '''{text}'''\n"


# What is built


def test_an_action_runs_in_the_sandbox_of_macos_and_its_result_says_so(project):
    project.write({"Builderfile": command("cat $SRCS > $OUT; env > env", sources=["a"]), "a": "content\n"})
    built = project.build().assert_ok()
    (event,) = (event for event in built.events if event["event"] == "action_finished")
    assert event["isolation"]["fs-read"] == "kernel", event["isolation"]
    assert not set(MISSING) & set(event["isolation"])
    assert project.read("bldr-out/out") == "content\n"
    assert 'the sandbox "macos" does not give paths, ' in built.stderr
    again = project.build().assert_ok()
    assert not [event for event in again.events if event.get("event") == "action_finished" and not event["cached"]]


EXPECTED = {
    "mixed": ("app/count", ["words/testdata/rain.txt"], "3 14 72 words/testdata/rain.txt\n"),
    "shell": None,
    "python": None,
    "rust": None,
}


@pytest.mark.full
@pytest.mark.parametrize("name", EXPECTED)
def test_examples_build_and_their_tests_pass(tmp_path, warm_cache, site, name):
    copy_cache(warm_cache, tmp_path / "cache")
    shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=shutil.ignore_patterns("bldr-out"))
    project = OnAMac(tmp_path / name, tmp_path / "cache", site)
    project.build("//...").assert_ok()
    project.test("//...").assert_ok()
    if EXPECTED[name]:
        program, words, printed = EXPECTED[name]
        ran = subprocess.run(
            [project.root / "bldr-out" / program, *words], cwd=project.root, capture_output=True, text=True
        )
        assert ran.stdout == printed
    assert "done: 0 ran" in project.build("//...").assert_ok().stderr


def test_names_that_mean_something_in_a_profile_build(tmp_path, warm_cache, site):
    """Of the cache, which stands in profiles and parameters, of the workspace and of sources."""
    top = tmp_path / HOSTILE
    top.mkdir()
    copy_cache(warm_cache, top / "cache")
    project = OnAMac(top / "work space", top / "cache", site)
    source = "so\"urce'(😀.txt"
    lines = (
        "[workspace]",
        'name = "w"',
        "[target.it]",
        'type = "command"',
        'outputs = ["out"]',
        f"sources = {json.dumps([source], ensure_ascii=False)}",
        'command = ["cp", "$SRCS", "$OUTS"]',
    )
    project.write({"Builderfile": "\n".join(lines), source: "x\n"})
    built = project.build().assert_ok()
    assert project.read("bldr-out/out") == "x\n", built
    project.write({source: "y\n"}).build().assert_ok()
    assert project.read("bldr-out/out") == "y\n"


@pytest.mark.full
def test_more_paths_than_a_form_may_hold_build(project):
    names = [f"{'long' * 20}/{number:04}-{'x' * 80}" for number in range(500)]
    assert sum(map(len, names)) > 64 << 10
    project.write(dict.fromkeys(names, "x"))
    project.write("Builderfile", command("cat $SRCS | wc -c > $OUT", sources=["**/*x"]))
    project.build().assert_ok()
    assert project.read("bldr-out/out").strip() == "500"


# What is not


ATTEMPTS = [
    "cat secret.txt",
    "cat $WORKSPACE/secret.txt",
    "cat $CACHE/v1/blobs/*/*",
    "ls $CACHE/v1",
    "ls $WORKSPACE",
    "cat /etc/hostname",
    "cat /root/.bashrc",
    "echo x > $WORKSPACE/new",
    "echo x > $CACHE/new",
    "mkdir $CACHE/../new",
    "rm -rf $BLDR_ROOT && ln -s $WORKSPACE $BLDR_ROOT",
    "mv $BLDR_ROOT $TMPDIR/away",
    "kill -0 $OUTER",
]


def test_what_was_not_declared_is_denied_with_its_name(project):
    lines = []
    for number, text in enumerate(ATTEMPTS):
        text = text.replace("$WORKSPACE", str(project.root)).replace("$CACHE", str(project.cache))
        lines.append(
            f'[target.t{number}]\ntype = "command"\noutputs = ["out{number}"]\n'
            f"command = '{text.replace('$OUTER', str(os.getpid()))} > $OUT'\n"
        )
    project.write({"Builderfile": "".join(lines), "secret.txt": "secret\n"})
    before = sorted(os.listdir(project.root))
    built = project.build("--keep-going")
    assert built.exit_code == 1, built
    assert f"{len(ATTEMPTS)} failed" in built.stderr
    told = built.stderr.split("FAILED ")[1:]
    assert len(told) == len(ATTEMPTS)
    assert not [text for text in told if not re.search("No such |annot|denied|busy|Read-only", text)]
    assert "secret\n" not in built.stderr
    assert sorted(os.listdir(project.root)) == sorted([*before, "bldr-out"])
    assert not list((project.root / "bldr-out").glob("out*"))


@pytest.mark.full
def test_an_undeclared_header_is_said_with_the_line_to_add(project):
    project.write(
        {
            "Builderfile": '[target.app]\ntype = "executable"\nlanguage = "c"\nsources = ["main.c"]\n',
            "main.c": '#include "hidden.h"\nint main(void) { return HIDDEN; }\n',
            "hidden.h": "#define HIDDEN 0\n",
        }
    )
    built = project.build()
    assert built.exit_code == 1
    assert "hidden.h" in built.stderr
    assert 'it tried to read "hidden.h"' in built.stderr
    assert 'add "hidden.h" to its headers (Builderfile:' in built.stderr, built.stderr
    project.edit("Builderfile", 'sources = ["main.c"]', 'sources = ["main.c"]\nheaders = ["hidden.h"]')
    project.build().assert_ok()


def test_an_action_that_changes_its_input_fails_by_name(project):
    project.write({"Builderfile": command("echo x >> $SRCS; cp $SRCS $OUT", sources=["a"]), "a": "content\n"})
    built = project.build()
    assert built.exit_code == 1
    assert "a" in built.stderr
    assert project.read("a") == "content\n"


def test_hermetic_is_refused_with_all_that_macos_cannot_give(project):
    project.write("Builderfile", command("echo > $OUT"))
    refused = project.build("--hermetic")
    assert refused.exit_code == 5, refused
    assert 'the sandbox "macos" cannot give the isolation that was asked for' in refused.stderr
    said = {word for line in refused.stderr.splitlines() for word in line.partition(":")[0].strip().split(", ")}
    assert set(MISSING) <= said
    assert {"paths", "pids", "ipc", "hostname", "users", "syscalls"} <= set(MISSING)
    assert "fs-read" not in said
    assert "hint:" in refused.stderr
    assert not (project.root / "bldr-out/out").exists()


# Ends


@pytest.fixture
def sleeping(project, until):
    """A build in the middle of an action that never ends and does not listen, and a way to see what lives of it."""
    duration = f"97{os.getpid()}"
    text = f"setsid sleep {duration} & trap '' TERM INT; sleep {duration}; echo > $OUT"
    project.write("Builderfile", command(text))
    process = project.start("build")

    def left():
        found = subprocess.run(["pgrep", "-f", f"sleep {duration}"], capture_output=True, text=True).stdout.split()
        return [pid for pid in found if pid != str(os.getpid())]

    until(lambda: len(left()) >= 3 or process.poll() is not None)
    assert process.poll() is None
    yield process, left
    if process.poll() is None:
        process.kill()
    process.wait()


@pytest.mark.full
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_interrupt_ends_everything(sleeping, number, until):
    process, left = sleeping
    process.send_signal(number)
    assert process.wait(60) == 8
    until(lambda: not left())


@pytest.mark.full
def test_killing_bldr_ends_everything(sleeping, until):
    """Here the kernel does it, which a Mac's does not: what is shown is that nothing keeps anything alive."""
    process, left = sleeping
    process.kill()
    process.wait(60)
    until(lambda: not left())
