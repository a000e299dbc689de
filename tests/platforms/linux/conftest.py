"""A launcher on a store root as the engine makes it, commands to run in it, and a hostile program."""

import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]

from bldr.api import Input, Launch, SandboxSpec, StagedTree, Temp
from bldr_linux import compiled
from bldr_linux.sandbox import LinuxSandbox

HERE = Path(__file__).parent
PATIENCE_S = 60


class Ended:
    """How a command ended: the platform's `Exit` and what the command wrote."""

    def __init__(self, exit, out, err):
        self.exit = exit
        self.exit_code = exit.exit_code
        self.out = out
        self.err = err

    def __repr__(self):
        return f"{self.exit}\n--- out\n{self.out}\n--- err\n{self.err}"

    @property
    def answers(self):
        """What the hostile program printed: attempt -> "ok" or the error's name."""
        return dict(line.split(": ", 1) for line in self.out.splitlines())


class Box:
    """A launcher and the directories that belong to it."""

    def __init__(self, sandbox, base: Path, *, map_caller=False):
        base.mkdir(mode=0o700, exist_ok=True)
        self.base = base
        self.root = base / "v1"
        self.root.mkdir(mode=0o711)
        self.root.chmod(0o711)
        self.launcher = sandbox.open(str(self.root), map_caller=map_caller)
        self.count = 0
        self.ended = {}
        self.logs = {}

    def directory(self, name, mode=0o755, *, own=False):
        """A directory below the root, readable for the actions' user; with `own` it belongs to that user."""
        path = self.root / name
        path.mkdir(parents=True)
        path.chmod(mode)
        if own and self.launcher.owner:
            os.chown(path, *self.launcher.owner)
        return path

    def tree(self, files=()):
        self.count += 1
        place = self.directory(f"staging/{self.count}", 0o711)
        lower, upper, work = place / "lower", place / "upper", place / "work"
        for path in (lower, upper, work):
            path.mkdir(mode=0o755)
        for name, content in dict(files).items():
            path = lower / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        if self.launcher.owner:
            for path in (upper, work, lower, *(path for path in lower.rglob("*") if path.is_dir())):
                os.chown(path, *self.launcher.owner)
        return StagedTree(path="/build", lower=str(lower), upper=str(upper), work=str(work))

    def start(self, *argv, tree=None, cwd=None, stdin=None, announce=False, in_turn=False, into="", **spec):
        """Start a command with /usr, /tmp and a PATH, unless `spec` says otherwise; the id of the launch."""
        self.count += 1
        fields = {
            "inputs": (Input("/usr"),),
            "temps": (Temp("/tmp"),),
            "env": (("PATH", "/usr/bin"),),
            **spec,
        }
        fields["inputs"] = (*fields["inputs"], *fields.pop("more_inputs", ()))
        out, err = (tempfile.TemporaryFile() for _ in range(2))  # noqa: SIM115 - closed by `wait`
        self.logs[self.count] = (out, err)
        with open(os.devnull, "rb") as null:
            self.launcher.start(
                Launch(
                    launch_id=self.count,
                    spec=SandboxSpec(**fields),
                    argv=argv,
                    cwd=cwd or ("/build" if tree else "/"),
                    stdin=null.fileno() if stdin is None else stdin,
                    stdout=out.fileno(),
                    stderr=err.fileno(),
                    tree=tree,
                    announce=announce,
                    in_turn=in_turn,
                    into=into,
                )
            )
        return self.count

    def wait(self, launch_id):
        deadline = time.monotonic() + PATIENCE_S
        while launch_id not in self.ended:
            assert time.monotonic() < deadline, "the launch did not end"
            select.select([self.launcher], [], [], 1)
            for exit in self.launcher.reap():
                assert exit.launch_id not in self.ended, "two exits for one launch"
                self.ended[exit.launch_id] = exit
        texts = []
        for file in self.logs.pop(launch_id):
            with file:
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
        return Ended(self.ended[launch_id], *texts)

    def run(self, *argv, **options):
        return self.wait(self.start(*argv, **options))

    def sh(self, script, **options):
        return self.run("sh", "-euc", script, **options)

    def until(self, condition):
        """Wait for something that another process does."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := condition()):
            assert time.monotonic() < deadline, "what was waited for did not happen"
            time.sleep(0.005)
        return found


# What pid 1 does is done by a compiled program or by Python; these hold for both.
BOTH_WAYS = {
    "test_attacks", "test_cells", "test_escapes", "test_evasion", "test_into", "test_landlock", "test_launches",
    "test_limits", "test_mishaps", "test_on_violation", "test_residue", "test_signals", "test_soak", "test_tree",
    "test_turns", "test_view", "test_violations",
}  # fmt: skip


def pytest_generate_tests(metafunc):
    path = Path(metafunc.module.__file__)
    if "sandbox" in metafunc.fixturenames and path.parent == HERE:
        ways = ["compiled", "python"] if path.stem in BOTH_WAYS else ["default"]
        metafunc.parametrize("sandbox", ways, indirect=True, scope="session")


@pytest.fixture(scope="session")
def sandbox(request):
    if request.param == "compiled" and not os.path.exists(compiled.path()):
        pytest.skip("the compiled pid 1 is not there: install bldr again where there is a C compiler")
    platform = LinuxSandbox(uses_compiled=request.param != "python")
    probe = platform.probe()
    if not probe.supported:
        pytest.skip(f"no Linux sandbox here: {'; '.join(sorted({short.why for short in probe.shortfalls}))}")
    return platform


@pytest.fixture
def make_box(sandbox, tmp_path):
    boxes = []

    def make(platform=sandbox, **options):
        boxes.append(Box(platform, tmp_path / f"cache{len(boxes)}", **options))
        return boxes[-1]

    yield make
    for box in boxes:
        box.launcher.close()
        # The kernel makes directories of mode 0 in an overlay's work directory.
        for directory, names, _ in os.walk(box.root):
            for name in names:
                if not os.path.islink(f"{directory}/{name}"):
                    os.chmod(f"{directory}/{name}", 0o700)
        shutil.rmtree(box.root)


@pytest.fixture
def box(make_box):
    return make_box()


@pytest.fixture(scope="session")
def hostile_program(tmp_path_factory):
    """`payload.c` as a static program, which needs nothing of what a sandbox may lack."""
    if shutil.which("gcc") is None:
        pytest.skip("the hostile program needs gcc")
    program = tmp_path_factory.mktemp("payload") / "payload"
    subprocess.run(["gcc", "-O1", "-static", "-o", program, HERE / "payload.c"], check=True)
    return program


@pytest.fixture
def attack(box, hostile_program):
    """Runs attempts in a sandbox without anything else: `attack("keyctl", stdin=fd)` -> attempt -> answer."""
    program = box.root / "payload"
    shutil.copyfile(hostile_program, program)
    program.chmod(0o555)

    def run(*attempts, **options):
        options.setdefault("inputs", ())
        options.setdefault("more_inputs", (Input("/payload", str(program)),))
        ended = box.run("/payload", *attempts, **options)
        assert ended.exit_code == 0, ended
        assert set(ended.answers) == set(attempts), ended
        return ended.answers

    return run


@pytest.fixture
def is_alive():
    """Whether any process of the machine has a word in its command line."""

    def look(word):
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    arguments = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
                    stat = Path(f"/proc/{name}/stat").read_text()
                except OSError:
                    continue
                if word.encode() in arguments and stat.rpartition(")")[2].split()[0] not in "ZX":
                    return True
        return False

    return look


@pytest.fixture
def mark(is_alive):
    """A word for command lines that is nowhere else, and at the end of the test in no living process."""
    word = f"{100000 + os.getpid()}.{time.monotonic_ns()}"
    yield word
    assert not is_alive(word)
