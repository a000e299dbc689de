"""Strangers' plugins, installed as pip would: a module and a `.dist-info` in a directory of `PYTHONPATH`."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

DRIVER = """
import contextlib, io, json, sys
from bldr.cli.main import _end_at_once_when_interrupted, main

_end_at_once_when_interrupted()  # as the process bldr does: KeyboardInterrupt is a plugin's own then
for words in json.loads(sys.argv[1]):
    err, out = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(out):
        code = main(words)
    sys.__stdout__.write(json.dumps([code, out.getvalue(), err.getvalue()]) + "\\n")
"""


class Installed:
    """A place of distributions, and a workspace that is built with them."""

    def __init__(self, top):
        self.place = top / "site"
        self.root = top / "workspace"
        self.cache = top / "cache"
        self.place.mkdir()
        self.root.mkdir()

    def install(self, distribution, text, *, plugin=None, module=None, version="1.0", place=None):
        place = place or self.place
        place.mkdir(exist_ok=True)
        module = module or distribution.replace("-", "_")
        (place / f"{module}.py").write_text(textwrap.dedent(text))
        info = place / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[bldr]\n{plugin or distribution} = {module}\n")

    def write(self, text):
        (self.root / "Builderfile").write_text('[workspace]\nname = "w"\n' + textwrap.dedent(text))

    def env(self, *places):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
        path = [*map(str, places), str(self.place), kept.get("PYTHONPATH", "")]
        return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, path)), "BLDR_CACHE_DIR": str(self.cache)}

    def bldr(self, *words, places=(), **more):
        return subprocess.run(
            [sys.executable, "-m", "bldr", *words],
            cwd=self.root,
            env={**self.env(*places), **more},
            capture_output=True,
            text=True,
            timeout=200,
        )

    def doctor(self, **more):
        done = self.bldr("doctor", "--format", "json", PATH="", **more)
        assert done.returncode in (0, 5), done.stderr
        return json.loads(done.stdout)

    def each(self, *commands):
        """Many commands in one process: exit code, standard output and standard error of each."""
        done = subprocess.run(
            [sys.executable, "-c", DRIVER, json.dumps(commands)],
            cwd=self.root,
            env=self.env(),
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def installed(tmp_path):
    return Installed(tmp_path)
