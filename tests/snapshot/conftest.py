"""A workspace that is built by the real command, and a way to tell whether a null build was answered by a snapshot."""

import os
import re
import shutil
import subprocess
import sys
import time

import pytest

BUILDERFILE = """
[workspace]
name = "demo"

[target.one]
type = "command"
sources = ["src/*.txt"]
outputs = ["one.out", "sub/more/"]
command = '''
cat $SRCS > $BLDR_ROOT/one.out
mkdir -p $BLDR_ROOT/sub/more/empty
echo x > $BLDR_ROOT/sub/more/x
ln -s x $BLDR_ROOT/sub/more/link
'''

[target.two]
type = "command"
sources = ["two.txt"]
deps = [":one"]
outputs = ["two.out"]
env_inherit = ["GREETING", "SHLVL"]
command = "cat $SRCS one.out > $OUT; echo $GREETING $SHLVL >> $OUT"

[target.check]
type = "test"
sources = ["two.txt"]
command = "grep -q two two.txt"
"""

TRACE = """
import sys
from bldr.cli.main import main

code = main()
sys.stdout.flush()
sys.stderr.flush()
with open({path!r}, "w") as file:
    spawn = sys.modules.get("bldr_linux.spawn")
    file.write(" ".join(sys.modules) + chr(10) + str(len(spawn._ready) if spawn else 0))
sys.exit(code)
"""


class Ran:
    """One command: how it ended, what it said, and whether it was `quick`: answered without loading the workspace."""

    def __init__(self, process, modules):
        self.exit_code = process.returncode
        self.stdout = process.stdout
        self.stderr = process.stderr
        imported, _, begun = modules.read_text().partition("\n") if modules.exists() else ("", "", "0")
        self.imported = imported.split()  # in this order
        self.begun_for_nothing = int(begun)  # launchers' processes
        self.modules = set(self.imported)
        self.edited = "bldr.snapshot.edited" in self.modules and "bldr.session" not in self.modules
        self.quick = "bldr.execute.building" not in self.modules

    @property
    def counts(self):
        """The summary without the time."""
        return self.stderr.rpartition(" in ")[0]

    @property
    def without_times(self):
        """What was said, but for how long anything took."""
        return re.sub(r"\d+(\.\d+)?s", "TIME", self.stderr)

    def __repr__(self):
        return f"exit code {self.exit_code} quick {self.quick}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


class Project:
    def __init__(self, top, warm):
        self.top = top
        self.warm = warm
        self.root = top / "workspace"
        self.cache = top / "cache"
        self.root.mkdir()
        subprocess.run(["cp", "-a", warm, self.cache], check=True)  # keeps the hard links
        self.commands = 0

    def beside(self, name):
        """A copy of the workspace, with a cache of its own that knows the same."""
        top = self.top / name
        top.mkdir()
        made = Project(top, self.warm)
        shutil.copytree(self.root, made.root, dirs_exist_ok=True)
        assert made.build(BLDR_SNAPSHOT="off").exit_code == 0
        return made

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def read(self, name):
        return (self.root / name).read_text()

    def argv(self, *words):
        self.commands += 1
        modules = self.top / f"modules-{self.commands}"
        return [sys.executable, "-P", "-c", TRACE.format(path=str(modules)), *words], modules

    def env(self, **more):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH", "LANG") if name in os.environ}
        env = {**kept, "BLDR_CACHE_DIR": str(self.cache), "GREETING": "hello", "SHLVL": "1", **more}
        return {name: value for name, value in env.items() if value is not None}

    def bldr(self, *words, cwd=None, **env):
        argv, modules = self.argv(*words)
        process = subprocess.run(
            argv,
            cwd=cwd or self.root,
            env=self.env(**env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Ran(process, modules)

    def build(self, *words, **more):
        return self.bldr("build", *words, "//...", **more)

    def settle(self):
        """Let the file system's clock go on, so that signatures can be believed."""
        time.sleep(0.08)

    def until_quick(self, *words, **more):
        """Build until a snapshot answers; what it said."""
        self.settle()
        for _ in range(3):
            ran = self.bldr(*words, **more) if words else self.build(**more)
            assert ran.exit_code == 0, ran
            if ran.quick:
                return ran
            self.settle()
        raise AssertionError(f"no snapshot answers: {ran}")

    def snapshots(self):
        folder = self.cache / "v1" / "snapshots"
        return sorted(path for path in folder.iterdir() if "." not in path.name) if folder.exists() else []


@pytest.fixture(scope="session")
def warm(tmp_path_factory):
    """A cache that knows the toolchains of this machine and nothing else."""
    top = tmp_path_factory.mktemp("warm")
    (top / "empty").mkdir()
    made = Project(top, top / "empty")
    made.cache.chmod(0o700)
    made.write("Builderfile", """
[workspace]
name = "warm"

[target.warm]
type = "command"
outputs = ["warm"]
command = "echo > $OUT"
""")  # fmt: skip
    assert made.build().exit_code == 0
    shutil.rmtree(made.cache / "v1" / "snapshots", ignore_errors=True)
    return made.cache


@pytest.fixture
def project(tmp_path, warm):
    made = Project(tmp_path, warm)
    made.write("Builderfile", BUILDERFILE)
    made.write("src/a.txt", "a\n")
    made.write("src/b.txt", "b\n")
    made.write("two.txt", "two\n")
    return made
