"""A launcher of each kind, and a way to run one command with it."""

import os
import select
import sys

import pytest

from bldr.api import Launch, SandboxSpec, StagedTree
from bldr_plain.sandbox import Unconfined
from bldr_unmounted.launcher import UnmountedLauncher
from bldr_unmounted.watch import PollingWatch, open_watch

PATH = ("PATH", "/usr/local/bin:/usr/bin:/bin")


class Driver:
    """Runs commands one after another and keeps what they printed."""

    def __init__(self, directory, watch):
        self.root = str(directory / "root")
        os.mkdir(self.root)
        self.launcher = UnmountedLauncher(self.root, Unconfined(), watch=watch)
        self._log = str(directory / "log")
        self._launch_id = 0

    def start(self, *argv, env=(), cwd="/", tree=None, **sets):
        self._launch_id += 1
        spec = SandboxSpec(env=(PATH, *env), **sets)
        with open(os.devnull) as null, open(self._log, "wb") as log:
            streams = {"stdin": null.fileno(), "stdout": log.fileno(), "stderr": log.fileno()}
            self.launcher.start(Launch(launch_id=self._launch_id, spec=spec, argv=argv, cwd=cwd, tree=tree, **streams))
        return self._launch_id

    def finish(self):
        """Wait as the engine does, by the descriptor; every exit that came with the first one."""
        exits = []
        while not exits:
            select.select([self.launcher.fileno()], [], [])
            exits = list(self.launcher.reap())
        return exits

    def run(self, *argv, **more):
        launch_id = self.start(*argv, **more)
        (end,) = self.finish()
        assert end.launch_id == launch_id
        return end

    def python(self, code, *arguments, **more):
        return self.run(sys.executable, "-c", code, *arguments, **more)

    @property
    def output(self):
        with open(self._log) as log:
            return log.read()


@pytest.fixture(params=[open_watch, PollingWatch], ids=["best", "polling"])
def driver(tmp_path, request):
    driver = Driver(tmp_path, request.param())
    yield driver
    driver.launcher.close()
    assert os.listdir(driver.root) == []


@pytest.fixture
def tree(tmp_path):
    """A staged tree with a source, a program, an empty directory and a link; all read-only and from 1980."""
    for name in ("lower", "lower/pkg", "lower/pkg/empty", "upper tree", "work"):
        os.mkdir(tmp_path / name)
    for name, content, mode in (("pkg/a.txt", "a\n", 0o444), ("pkg/tool", "#!/bin/sh\necho tool\n", 0o555)):
        (tmp_path / "lower" / name).write_text(content)
        os.chmod(tmp_path / "lower" / name, mode)
    os.symlink("a.txt", tmp_path / "lower/pkg/link")
    for name in ("pkg/a.txt", "pkg/tool", "pkg/empty", "pkg"):
        os.utime(tmp_path / "lower" / name, (315532800, 315532800))
    return StagedTree("/build", str(tmp_path / "lower"), str(tmp_path / "upper tree"), str(tmp_path / "work"))
