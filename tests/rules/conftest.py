"""A context that needs no workspace, for handlers; and a workspace of its own, for builds with real compilers."""

import json
import os
import shutil
import subprocess
import sys
import textwrap

import pytest

from bldr.api import Artifact, Configuration, Platform, Toolchain, parse_label
from bldr.testing import FakeContext, FakeDep, analyze

CC = Toolchain(
    name="cc",
    executables={"gcc": "/usr/bin/gcc", "g++": "/usr/bin/g++", "ar": "/usr/bin/ar", "gcc-ar": "/usr/bin/gcc-ar"},
    attributes={"compiler": "gcc", "version": "12", "cc": "gcc", "cxx": "g++", "honours_source_date_epoch": "yes"},
)

LINUX = Platform("linux", "x86_64")


@pytest.fixture
def analyze_with():
    """Function: (handler, label text, table, files=, deps=) -> what it makes of the target, with a toolchain "cc"."""

    def analyze_one(handler, label, table, files=None, deps=None, toolchain=CC, configuration=None, platform=LINUX):
        context = FakeContext(
            label,
            files=files or {},
            deps=deps or {},
            toolchains=[toolchain] if toolchain else [],
            configuration=configuration or Configuration(),
            platform=platform,
        )
        return analyze(handler, table, context)

    return analyze_one


@pytest.fixture
def dep():
    """Function: (label text, *providers) -> a dep as a context gives it."""
    return FakeDep


@pytest.fixture
def made():
    """Function: (path, label text) -> an artifact that an action makes."""
    return lambda path, label="//other:maker", is_directory=False: Artifact(path, parse_label(label), is_directory)


class Ran:
    """One command of bldr: its exit code, output and events."""

    def __init__(self, process, events):
        self.exit_code = process.returncode
        self.output = process.stdout + process.stderr
        self.events = [json.loads(line) for line in events.read_text().splitlines()] if events.exists() else []

    def __repr__(self):
        return f"exit code {self.exit_code}\n{self.output}"

    @property
    def ran(self):
        """Mnemonic and label of every action that was not served from the cache, sorted."""
        finished = (event for event in self.events if event["event"] == "action_finished")
        return sorted(f"{event['mnemonic']} {event['label']}" for event in finished if not event["cached"])

    @property
    def tests(self):
        return {event["label"]: event["status"] for event in self.events if event["event"] == "test_finished"}


class Project:
    """A workspace in a temporary directory; the cache may be shared."""

    def __init__(self, directory, cache):
        self.root = directory / "workspace"
        self.root.mkdir(parents=True)
        self._cache = cache
        self._events = directory / "events"
        self.write({"Builderfile": '[workspace]\nname = "test"\n'})

    def write(self, files):
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).lstrip("\n").encode())

    def bldr(self, command, *args, **env):
        self._events.unlink(missing_ok=True)
        events = ("--events", self._events) if command in ("build", "test", "run") else ()
        argv = [sys.executable, "-m", "bldr", command, "--cache-dir", self._cache, *events, *args]
        kept = {name: value for name, value in os.environ.items() if name not in ("CC", "CXX")}
        done = subprocess.run(
            argv, cwd=self.root, env={**kept, **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        return Ran(done, self._events)

    def out(self, name):
        return self.root / "bldr-out" / name

    def output_of(self, name, *args):
        return subprocess.run([self.out(name), *args], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory):
    """One cache for all: toolchains are looked for once. What a test builds is its own by its content."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def project(tmp_path, shared_cache):
    return Project(tmp_path, shared_cache)


@pytest.fixture(scope="session")
def node():
    """Skips what needs a node that the toolchain takes."""
    if shutil.which("node") is None:
        pytest.skip("there is no node here")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.strip("v\n").partition(".")[0]) < 20:
        pytest.skip("the node here is older than version 20")
