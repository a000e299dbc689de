"""Whole builds, as a user runs them: a workspace of its own, a cache of its own, the real command in a process."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest


class Ran:
    """How one command ended, and what it told."""

    def __init__(self, process, events_file):
        self.exit_code = process.returncode
        self.stdout = process.stdout
        self.stderr = process.stderr
        self.events = []
        if events_file.exists():
            self.events = [json.loads(line) for line in events_file.read_text().splitlines()]

    def __repr__(self):
        return f"exit code {self.exit_code}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"

    def of(self, kind):
        return [event for event in self.events if event["event"] == kind]

    @property
    def ran(self):
        """The mnemonics and labels of the actions that really ran, sorted."""
        return sorted(
            f"{event['mnemonic']} {event['label']}" for event in self.of("action_finished") if not event["cached"]
        )

    @property
    def cached(self):
        return sum(event["cached"] for event in self.of("action_finished"))

    @property
    def messages(self):
        return "\n".join(event["message"] for event in self.of("action_finished") if event["message"])


class Project:
    """A workspace in `root`."""

    def __init__(self, root: Path, cache: Path):
        self.root = root
        self.cache = cache
        self.commands = 0

    def write(self, files):
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"))
        return self

    def read(self, name):
        return (self.root / name).read_text()

    def out(self, name):
        return self.root / "bldr-out" / name

    def command(self, *args, events=None):
        reports = ("--events", str(events)) if events else ()
        return [sys.executable, "-m", "bldr", *args[:1], "--cache-dir", str(self.cache), *reports, *args[1:]]

    def env(self, **more):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH", "LANG") if name in os.environ}
        return {**kept, **more}

    def bldr(self, *args, env=None, cwd=None, stdin=None):
        self.commands += 1
        events = self.cache.parent / f"events-{self.commands}.jsonl"
        takes_events = args[0] in ("build", "test", "run")
        return Ran(
            subprocess.run(
                self.command(*args, events=events if takes_events else None),
                cwd=cwd or self.root,
                env=self.env(**(env or {})),
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                text=True,
                timeout=120,
            ),
            events,
        )

    def build(self, *args, **more):
        return self.bldr("build", "--hermetic", *args, **more)

    def start(self, *args):
        """A command that goes on: the process."""
        return subprocess.Popen(
            self.command(*args),
            cwd=self.root,
            env=self.env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


class Watcher:
    """A `bldr watch` that runs in a project, and what it has said."""

    def __init__(self, project, *words):
        self.project = project
        self.log = project.cache.parent / f"watch-{len(os.listdir(project.cache.parent))}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                project.command("watch", *(words or ("//...",))),
                cwd=project.root,
                env=project.env(PYTHONSAFEPATH="1"),  # as the script `bldr`: no code comes from where one stands
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def said(self):
        return self.log.read_text()

    @property
    def builds(self):
        """How many builds it has told of."""
        return self.said.count("done: ") + self.said.count("failed: ")

    @property
    def waits(self):
        return self.said.endswith("^C ends\n")

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture(scope="session")
def toolchains_cache(tmp_path_factory):
    """A cache in which the toolchains are detected and staged, so that not every test spends seconds on it."""
    top = tmp_path_factory.mktemp("warm")
    (top / "workspace").mkdir()
    warm = Project(top / "workspace", top / "cache")
    warm.write(
        {
            "Builderfile": """
            [workspace]
            name = "warm"

            [target.warm]
            type = "command"
            outputs = ["warm"]
            command = "echo the toolchains of this machine are found > $OUT"

            [target.warm_test]
            type = "test"
            language = "c"
            sources = ["warm.c"]
            """,
            "warm.c": 'int main(void) { return sizeof "the toolchains of this machine are found" == 0; }\n',
        }
    )
    warmed = warm.bldr("test", "--hermetic", "//...")
    assert warmed.exit_code == 0, warmed
    return warm.cache


@pytest.fixture
def project(tmp_path, toolchains_cache):
    """A function that makes a workspace of files; `Builderfile` of the root gets its [workspace] table."""
    # cp keeps hard links between blobs and sysroots, which copytree does not
    subprocess.run(["cp", "-a", str(toolchains_cache), str(tmp_path / "cache")], check=True)

    def make(files, name="workspace"):
        root = tmp_path / name
        root.mkdir()
        project = Project(root, tmp_path / "cache")
        project.write(files)
        builderfile = root / "Builderfile"
        builderfile.write_text(f'[workspace]\nname = "{name}"\n\n' + builderfile.read_text())
        return project

    return make


C_FILES = {
    "Builderfile": """
        [target.version]
        type = "command"
        sources = ["version.txt"]
        outputs = ["version.h"]
        command = "printf '#define VERSION \\"%s\\"\\n' $(cat $SRCS) > $OUT"

        [target.app]
        type = "executable"
        language = "c"
        sources = ["main.c"]
        headers = [":version"]
        deps = ["//lib:greet"]
    """,
    "version.txt": "1.2.3\n",
    "main.c": """
        #include <stdio.h>
        #include "version.h"
        #include "lib/greet.h"
        int main(void) { puts(VERSION); return greet() < 0; }
    """,
    "lib/Builderfile": """
        [target.greet]
        type = "library"
        language = "c"
        sources = ["greet.c", "other.c"]
        headers = ["greet.h"]
        visibility = "public"
    """,
    "lib/greet.h": "int greet(void);\n",
    "lib/greet.c": '#include <stdio.h>\n#include "lib/greet.h"\nint greet(void) { return puts("hello"); }\n',
    "lib/other.c": "int other(void) { return 1; }\n",
}


@pytest.fixture
def c_project(project):
    return project(C_FILES)


@pytest.fixture
def watch(project, until):
    """A function that makes a project and a watcher of it that waits for its first change, unless it is quiet."""
    started = []

    def start(files, *words):
        made = files if hasattr(files, "root") else project(files)
        started.append(Watcher(made, *words))
        if "-q" not in words:
            until(lambda: started[-1].waits)
        return made, started[-1]

    yield start
    for watcher in started:
        if watcher.process.poll() is None:
            watcher.process.send_signal(signal.SIGCONT)
            watcher.end(signal.SIGTERM)
