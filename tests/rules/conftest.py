"""A context that needs no workspace, for handlers; and a workspace of its own, for builds with real compilers."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from typing import NoReturn

import msgspec
import pytest

from bldr.api import (
    Artifact,
    Configuration,
    Platform,
    TargetError,
    Toolchain,
    ToolchainError,
    parse_label,
)

CC = Toolchain(
    name="cc",
    executables={"gcc": "/usr/bin/gcc", "g++": "/usr/bin/g++", "ar": "/usr/bin/ar", "gcc-ar": "/usr/bin/gcc-ar"},
    attributes={"compiler": "gcc", "version": "12", "cc": "gcc", "cxx": "g++", "honours_source_date_epoch": "yes"},
)


class FakeDep:
    def __init__(self, label, providers):
        self.label = label
        self._providers = {type(provider): provider for provider in providers}

    def get(self, provider):
        return self._providers.get(provider)


class FakeContext:
    """Answers from what the test says: `files` and `deps` by attribute. Paths are given as actions see them."""

    def __init__(self, label, files=None, deps=None, toolchain=CC, configuration=None):
        self.configuration = configuration or Configuration()
        self.label = label
        self.platform = Platform("linux", "x86_64")
        self.declared = []
        self._files = files or {}
        self._deps = deps or {}
        self._toolchain = toolchain

    def files(self, attribute):
        given = self._files.get(attribute, ())
        return tuple(file if isinstance(file, Artifact) else Artifact(file) for file in given)

    def deps(self, attribute="deps"):
        return tuple(self._deps.get(attribute, ()))

    def _declare(self, name, is_directory):
        artifact = Artifact(f"{self.label.directory}/{name}".lstrip("/"), self.label, is_directory)
        assert artifact not in self.declared
        self.declared.append(artifact)
        return artifact

    def declare_file(self, name):
        return self._declare(name, False)

    def declare_directory(self, name):
        return self._declare(name, True)

    def toolchain(self, name):
        if self._toolchain is None:
            raise ToolchainError(f"no {name}")
        assert name == "cc"
        return self._toolchain

    def fail(self, message, hint="", attribute="") -> NoReturn:
        self.failed_attribute = attribute
        raise TargetError(message, hint)


class Analyzed:
    """What a handler made of a target."""

    def __init__(self, label, context, analysis):
        self.label = label
        self.context = context
        self.actions = analysis.actions
        self._provides = analysis.provides

    def get(self, provider):
        return next((given for given in self._provides if type(given) is provider), None)

    def commands(self):
        return [" ".join(action.argv) for action in self.actions]

    def action(self, mnemonic):
        (found,) = [action for action in self.actions if action.mnemonic == mnemonic]
        return found

    def as_dep(self):
        return FakeDep(self.label, self._provides)


@pytest.fixture
def analyze_with():
    """Function: (handler, label text, table, files=, deps=) -> Analyzed."""

    def analyze(handler, label, table, files=None, deps=None, toolchain=CC, configuration=None):
        parsed = parse_label(label)
        attributes = msgspec.convert(table, handler.attributes(table["type"]), strict=True)
        context = FakeContext(parsed, files, deps, toolchain, configuration)
        return Analyzed(parsed, context, handler.analyze(attributes, context))

    return analyze


@pytest.fixture
def dep():
    """Function: (label text, *providers) -> a dep as a context gives it."""
    return lambda label, *providers: FakeDep(parse_label(label), providers)


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
