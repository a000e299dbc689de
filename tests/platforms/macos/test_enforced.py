"""The contract of platforms, and specs that no build makes, under profiles that a kernel enforces."""

import os
import select

import pytest

from bldr.api import Input, Launch, NetworkPolicy, Output, SandboxSpec, Temp
from bldr.testing import SandboxContract
from bldr.testing.sandboxes import LaunchBox
from bldr_macos.sandbox import MacosSandbox

VARIABLE = "BLDR_TEST_ENFORCING"
SYSTEM = tuple(Input(path) for path in ("/usr/bin", "/usr/lib"))
ENV = (("PATH", "/usr/bin:/bin"), ("TMPDIR", "/tmp"))


class Enforced(MacosSandbox):
    """As on a Mac, by the program that the variable names."""

    def __init__(self):
        super().__init__(program=os.environ[VARIABLE], system="darwin")


@pytest.fixture(autouse=True)
def enforcing(sandbox_exec, monkeypatch):
    monkeypatch.setenv(VARIABLE, sandbox_exec)


@pytest.mark.full
class TestContract(SandboxContract):
    sandbox = Enforced


@pytest.fixture
def box(tmp_path):
    box = LaunchBox(Enforced(), tmp_path / "box")
    yield box
    box.launcher.close()


class Runner:
    """Runs shell scripts under specs."""

    def __init__(self, box, top):
        self.box = box
        self.top = top
        self.log = top / "log"
        self.count = 1000

    def run(self, script, *, inputs=(), cwd=None, **sets):
        self.count += 1
        spec = SandboxSpec(inputs=(*SYSTEM, *inputs), env=ENV, **sets)
        with open(os.devnull, "rb") as null, open(self.log, "wb") as log:
            streams = {"stdin": null.fileno(), "stdout": log.fileno(), "stderr": log.fileno()}
            command = {"argv": ("/usr/bin/sh", "-c", script), "cwd": cwd or str(self.top)}
            self.box.launcher.start(Launch(launch_id=self.count, spec=spec, **command, **streams))
        while True:
            select.select([self.box.launcher.fileno()], [], [], 60)
            for ended in self.box.launcher.reap():
                assert ended.launch_id == self.count
                return ended

    @property
    def output(self):
        return self.log.read_text()


@pytest.fixture
def runner(box, tmp_path):
    (tmp_path / "top").mkdir()
    return Runner(box, tmp_path / "top")


def files(top, *names):
    for name in names:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(f"{name}\n")


def test_the_probe_believes_a_program_that_enforces(box):
    assert Enforced().probe().supported


def test_inputs_in_outputs_and_outputs_in_inputs(runner):
    top = runner.top
    files(top, "in/a", "in/out/b", "in/out/kept/c", "other/d")
    places = {
        "inputs": (Input(f"{top}/in"), Input(f"{top}/in/out/kept")),
        "outputs": (Output(f"{top}/in/out", is_directory=True),),
    }
    assert runner.run("cat in/a in/out/b in/out/kept/c; echo new > in/out/new", **places).exit_code == 0
    assert (top / "in/out/new").read_text() == "new\n"
    for script in ("echo > in/new", "echo > in/out/kept/new", "rm in/out/kept/c", "cat other/d", "ls other"):
        assert runner.run(script, **places).exit_code != 0, script
    assert (top / "in/out/kept/c").exists()


@pytest.mark.full
def test_more_inputs_than_a_form_may_hold(runner):
    """Files one by one, each with a long name."""
    top = runner.top
    names = [f"{'long' * 25}/{number:03}{'y' * 60}" for number in range(500)]
    files(top, *names, "undeclared")
    inputs = tuple(Input(f"{top}/{name}") for name in names)
    assert sum(len(item.path) for item in inputs) > 64 << 10
    assert runner.run(f"cat {' '.join(names)} | wc -l", inputs=inputs).exit_code == 0
    assert runner.output.strip() == "500"
    assert runner.run("cat undeclared", inputs=inputs).exit_code != 0


def test_the_temporary_directory_is_its_own_and_gone(runner):
    temps = (Temp("/tmp"),)
    assert runner.run("echo x > $TMPDIR/x; cat $TMPDIR/x; echo $TMPDIR", temps=temps, cwd="/").exit_code == 0
    content, place = runner.output.split()
    assert content == "x"
    assert place != "/tmp"
    assert not os.path.exists(place)
    assert runner.run("echo > /tmp/bldr-test-x", temps=temps, cwd="/").exit_code != 0


@pytest.mark.parametrize("policy", [NetworkPolicy(), NetworkPolicy(host=True)])
def test_the_network_is_the_machine_s_only_where_it_was_asked_for(runner, policy):
    with open("/proc/net/dev") as file:
        here = {line.partition(":")[0].strip() for line in file if ":" in line}
    assert runner.run("cat /proc/net/dev", network=policy).exit_code == 0
    seen = {line.partition(":")[0].strip() for line in runner.output.splitlines() if ":" in line}
    assert seen == (here if policy.host else {"lo"})
