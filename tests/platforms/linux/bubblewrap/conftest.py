"""The stand-in under the name `bwrap`, the real one where it is installed, and host trees to show to both."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bldr_linux

HOST = ("--ro-bind", "/", "/")
PATIENCE_S = 60
PLATFORMS = Path(bldr_linux.__file__).parents[1]
SCRIPT = f"""\
#!{sys.executable} -IS
import sys
sys.path.append({str(PLATFORMS)!r})
from bldr_linux.bubblewrap.main import run_process
run_process()
"""


class Bubblewrap:
    """One program with bubblewrap's command line, and how to run it."""

    def __init__(self, path, directory):
        self.path = str(path)
        self.directory = directory

    def run(self, *words, input="", env=None, cwd=None, fds=()):
        """Run it with everything but `fds` closed; its outcome, with texts."""
        return subprocess.run(
            [self.path, *map(str, words)],
            input=input,
            capture_output=True,
            text=True,
            env=self.environment() if env is None else env,
            cwd=cwd or self.directory,
            pass_fds=fds,
            timeout=PATIENCE_S,
        )

    def shell(self, script, *words, **keywords):
        """Run a shell script after the options `words`, which must give it a shell."""
        return self.run(*words, "/bin/sh", "-c", script, **keywords)

    def output(self, *words, **keywords):
        """What a command that must succeed printed."""
        ran = self.run(*words, **keywords)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.rstrip("\n")

    def start(self, *words, **keywords):
        """Start it and go on; whoever does this also ends it."""
        return subprocess.Popen([self.path, *map(str, words)], env=self.environment(), cwd=self.directory, **keywords)

    def environment(self):
        return {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/", "LANG": "C.UTF-8"}


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """The stand-in as an executable named `bwrap`."""
    path = tmp_path_factory.mktemp("stand-in") / "bwrap"
    path.write_text(SCRIPT)
    path.chmod(0o755)
    return path


@pytest.fixture
def bwrap(program, tmp_path):
    """The stand-in, run in a directory of the test's own."""
    stand_in = Bubblewrap(program, tmp_path)
    ran = stand_in.run(*HOST, "true")
    if ran.returncode:
        pytest.skip(f"no namespaces here: {ran.stderr.strip()}")
    return stand_in


@pytest.fixture
def real(tmp_path):
    """The bubblewrap that is installed."""
    path = shutil.which("bwrap")
    if path is None:
        pytest.skip("bubblewrap is not installed")
    ran = Bubblewrap(path, tmp_path).run(*HOST, "true")
    if ran.returncode:
        pytest.skip(f"bubblewrap does not work here: {ran.stderr.strip()}")
    return Bubblewrap(path, tmp_path)


@pytest.fixture
def pipe():
    """Make pipes whose reading end holds a text; closed at the end."""
    made = []

    def filled(text):
        reader, writer = os.pipe()
        os.write(writer, text if isinstance(text, bytes) else text.encode())
        os.close(writer)
        made.append(reader)
        return reader

    yield filled
    for fd in made:
        os.close(fd)


@pytest.fixture
def host():
    """The options that show the whole host, read-only."""
    return HOST


@pytest.fixture
def is_root():
    return os.geteuid() == 0
