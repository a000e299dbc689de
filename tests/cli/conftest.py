"""The command line in this process, with a session that only remembers what it was asked for."""

import os
from typing import NamedTuple

import pytest

from bldr.api.labels import parse_label
from bldr.cli.main import main
from bldr.execute.building import BuildOutcome


class Done(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of the test's own, and none of the environment's settings."""
    for name in ("BUILDER_HERMETIC", "GITHUB_ACTIONS", "GITLAB_CI", "BLDR_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith("BUILDER_HERMETIC_")]:
        monkeypatch.delenv(name)
    directory = tmp_path / "cache"
    monkeypatch.setenv("BLDR_CACHE_DIR", str(directory))
    return directory


@pytest.fixture
def bldr(cache, capfd):
    """`bldr("build", "//...")` runs the command line and returns exit code, standard output and standard error."""

    def run(*words):
        capfd.readouterr()
        code = main(list(words))
        return Done(code, *capfd.readouterr())

    return run


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """Write files below a directory, stand in it, and return it."""

    def write(files):
        root = tmp_path / "demo"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.chdir(root)
        return root

    return write


class FakeSession:
    """Takes a request, sends `events` to its listeners, and answers with `outcome`."""

    def __init__(self, request, listeners):
        self.request = request
        self.listeners = listeners
        self.closed = False
        self.events = []
        self.error = None
        self.outcome = BuildOutcome(
            exit_code=0,
            ran=2,
            cached=1,
            failed=0,
            outputs={parse_label("//b:b"): ("bldr-out/b/b",), parse_label("//a:a"): ("bldr-out/a/x", "bldr-out/a/y")},
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True
        for listener in reversed(self.listeners):
            listener.close()

    def build(self):
        for event in self.events:
            for listener in self.listeners:
                listener.on_event(event)
        if self.error is not None:
            raise self.error
        return self.outcome


@pytest.fixture
def fake(monkeypatch):
    """Replaces the session. `prepare(**attributes)` sets what the next ones have; `made` lists them all."""

    class Fake:
        made = []
        attributes = {}

        def prepare(self, **attributes):
            self.attributes = attributes

        def __call__(self, request, listeners=()):
            session = FakeSession(request, listeners)
            for name, value in self.attributes.items():
                setattr(session, name, value)
            self.made.append(session)
            return session

        @property
        def request(self):
            return self.made[-1].request

    fake = Fake()
    fake.made = []
    monkeypatch.setattr("bldr.cli.opening.Session", fake)
    return fake
