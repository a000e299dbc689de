"""The contract of platforms, as tests: subclass `SandboxContract` and say which sandbox."""

import os
import select
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from bldr.api.sandbox import GUARANTEES, LIMITS, Exit, Launch, Launcher, Level, Sandbox, StagedTree, covers
from bldr.api.spec import Input, ResourceLimits, SandboxSpec, Temp

_PATIENCE_S = 60
_SHOWN = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")


class Ended(msgspec.Struct, frozen=True):
    """How a launch ended, and what it wrote."""

    exit: Exit
    out: str
    err: str


class LaunchBox:
    """A launcher on a root as the engine makes it, and a way to run commands one after another."""

    def __init__(self, sandbox: Sandbox, base: Path) -> None:
        base.mkdir(mode=0o700)
        self.root = base / "v1"
        self.root.mkdir()
        self.root.chmod(0o711)
        self.launcher: Launcher = sandbox.open(str(self.root))
        self._count = 0
        self._exits: dict[int, Exit] = {}
        self._logs: dict[int, tuple[Any, Any]] = {}

    def tree(self, **files: str) -> StagedTree:
        """A staged tree with these files, of the name that the keyword has."""
        self._count += 1
        place = self.root / "staging" / str(self._count)
        lower, upper, work = (place / name for name in ("lower", "upper", "work"))
        for path in (lower, upper, work):
            path.mkdir(parents=True)
        for above in (self.root / "staging", place):
            above.chmod(0o711)
        for name, text in files.items():
            (lower / name).write_text(text)
            (lower / name).chmod(0o444)
        if self.launcher.owner is not None:
            for path in (lower, upper, work):
                os.chown(path, *self.launcher.owner)
        return StagedTree(path="/build", lower=str(lower), upper=str(upper), work=str(work))

    def start(
        self,
        script: str = "",
        *,
        argv: tuple[str, ...] = (),
        tree: StagedTree | None = None,
        limits: ResourceLimits | None = None,
        stdout: int | None = None,
    ) -> int:
        """Start a shell script, or the command `argv` without a shell around it; the id of the launch. With `stdout`,
        its output goes to that descriptor."""
        self._count += 1
        spec = SandboxSpec(
            inputs=tuple(Input(path) for path in _SHOWN if os.path.isdir(path) and not os.path.islink(path)),
            temps=(Temp("/tmp"),),  # noqa: S108  # the sandbox's own
            env=(("GREETING", "a b"), ("PATH", "/usr/bin:/bin"), ("TMPDIR", "/tmp")),  # noqa: S108
            resources=limits or ResourceLimits(),
        )
        out, err = (tempfile.TemporaryFile() for _ in range(2))  # noqa: SIM115  # closed by `wait`
        self._logs[self._count] = (out, err)
        with open(os.devnull, "rb") as null:
            self.launcher.start(
                Launch(
                    launch_id=self._count,
                    spec=spec,
                    argv=argv or ("sh", "-uc", script),
                    cwd="/build" if tree else "/",
                    stdin=null.fileno(),
                    stdout=out.fileno() if stdout is None else stdout,
                    stderr=err.fileno(),
                    tree=tree,
                )
            )
        return self._count

    def wait(self, launch_id: int) -> Ended:
        """How it ended; waits as the engine does, by the descriptor."""
        until_s = time.monotonic() + _PATIENCE_S
        while launch_id not in self._exits:
            assert time.monotonic() < until_s, "fileno() told of no end within a minute"
            select.select([self.launcher.fileno()], [], [], 1)
            for end in self.launcher.reap():
                assert end.launch_id in self._logs, f"an exit for {end.launch_id}, which does not run"
                assert end.launch_id not in self._exits, "two exits for one launch"
                self._exits[end.launch_id] = end
        texts = []
        for file in self._logs.pop(launch_id):
            with file:
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
        return Ended(self._exits[launch_id], *texts)

    def run(self, script: str = "", **more: Any) -> Ended:
        """Start it, and wait for its end."""
        return self.wait(self.start(script, **more))


class SandboxContract:
    """What holds for every platform, as far as it can be tried on any machine:

        class TestContract(SandboxContract):
            sandbox = MySandbox

    The machine needs `/usr/bin` and `/bin` with a shell in them. Where the probe says that the platform is not
    supported, all tests but that of the probe are skipped with its reasons. The attacks that a guarantee is to
    withstand are a platform's own tests: here it is asked whether what is said is what is done.
    """

    sandbox: ClassVar[type[Sandbox]]

    # What it says of itself

    def test_its_probe_is_complete_and_repeatable(self) -> None:
        sandbox = self.sandbox()
        probe = sandbox.probe()
        assert probe.sandbox == sandbox.name
        assert sandbox.tree_layout in ("overlay", "copy")
        known = {*GUARANTEES, *LIMITS}
        assert set(probe.isolation) <= known, f"bldr.api knows no {set(probe.isolation) - known}"
        assert all(isinstance(level, Level) for level in probe.isolation.values())
        short = {shortfall.guarantee for shortfall in probe.shortfalls}
        missing = {name for name in GUARANTEES if not probe.isolation.get(name, Level.NONE)}
        assert missing <= short, f"these are not given, and nothing says why: {', '.join(sorted(missing - short))}"
        for shortfall in probe.shortfalls:
            assert shortfall.why and shortfall.remedy, f"{shortfall.guarantee} needs a reason and a remedy"
        promised = getattr(sandbox, "promised", None)
        assert promised is None or covers(promised, probe.isolation), "it gives more than it promises"
        assert sandbox.probe() == probe, "the second answer is another one"
        if starter := getattr(sandbox, "starter", ""):
            assert callable(import_module(starter).get_ready), f"{starter} has no function get_ready"

    # What it does

    def test_exit_codes_are_those_of_a_shell(self, bldr_launch_box: LaunchBox) -> None:
        assert [bldr_launch_box.run(f"exit {code}").exit.exit_code for code in (0, 3, 77)] == [0, 3, 77]
        ended = bldr_launch_box.run("kill -TERM $$").exit
        assert (ended.exit_code, ended.failure) == (128 + 15, None)

    def test_what_is_printed_arrives_apart(self, bldr_launch_box: LaunchBox) -> None:
        ended = bldr_launch_box.run("echo out; echo err >&2")
        assert (ended.out, ended.err) == ("out\n", "err\n")

    def test_a_program_that_is_missing_ends_with_127(self, bldr_launch_box: LaunchBox) -> None:
        for name in ("no-such-program", "/usr/bin/no-such-program"):
            ended = bldr_launch_box.run(argv=(name, "word"))
            assert ended.exit.exit_code == 127, f"of {name}, started without a shell: {ended}"
            assert name in ended.err, f"it does not say what is missing: {ended}"

    def test_a_file_that_is_no_program_ends_with_126(self, bldr_launch_box: LaunchBox) -> None:
        ended = bldr_launch_box.run(argv=("./words",), tree=bldr_launch_box.tree(words="two words\n"))
        assert ended.exit.exit_code == 126, f"started without a shell: {ended}"
        assert "words" in ended.err, f"it does not say what cannot run: {ended}"

    def test_the_environment_is_what_the_spec_says(
        self, bldr_launch_box: LaunchBox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BLDR_CONTRACT_SECRET", "1")
        ended = bldr_launch_box.run('echo "$GREETING ${BLDR_CONTRACT_SECRET-unset}"')
        assert ended.out == "a b unset\n"

    def test_the_tree_is_read_and_what_is_written_is_left_in_upper(self, bldr_launch_box: LaunchBox) -> None:
        tree = bldr_launch_box.tree(words="two words\n")
        ended = bldr_launch_box.run("cat words; mkdir out; tr a-z A-Z < words > out/upper", tree=tree)
        assert (ended.exit.exit_code, ended.out) == (0, "two words\n"), ended
        assert Path(tree.upper, "out/upper").read_text() == "TWO WORDS\n"
        assert sorted(os.listdir(tree.lower)) == ["words"], "lower was changed"
        assert Path(tree.lower, "words").read_text() == "two words\n"

    def test_changing_an_input_changes_the_action_s_copy_only(self, bldr_launch_box: LaunchBox) -> None:
        tree = bldr_launch_box.tree(words="two words\n")
        bldr_launch_box.run("rm -f words; echo other > words", tree=tree)
        assert Path(tree.lower, "words").read_text() == "two words\n"

    def test_temporary_directories_are_empty_and_of_one_run(self, bldr_launch_box: LaunchBox) -> None:
        assert bldr_launch_box.run('ls -A "$TMPDIR"; echo left > "$TMPDIR/left"').out == ""
        assert bldr_launch_box.run('ls -A "$TMPDIR"').out == ""

    def test_every_launch_has_one_exit_and_the_isolation_that_was_promised(self, bldr_launch_box: LaunchBox) -> None:
        promised = self.sandbox().probe().isolation
        started = [bldr_launch_box.start(f"exit {code}") for code in range(5)]
        ended = [bldr_launch_box.wait(launch_id).exit for launch_id in reversed(started)]
        assert [end.exit_code for end in ended] == [4, 3, 2, 1, 0]
        demanded = {name: level for name, level in promised.items() if name in GUARANTEES}
        for end in ended:
            assert covers(end.isolation, demanded), f"promised was {demanded}, reached is {end.isolation}"

    def test_killing_ends_all_processes(self, bldr_launch_box: LaunchBox) -> None:
        with _family(bldr_launch_box) as (launch_id, is_dead):
            assert not is_dead()
            bldr_launch_box.launcher.kill(launch_id)
            bldr_launch_box.launcher.kill(launch_id + 1000)  # unknown ids are ignored
            assert bldr_launch_box.wait(launch_id).exit.exit_code != 0
            assert is_dead(), "it ended, and a process of it lives"

    def test_wall_time_ends_an_action_with_a_verdict(self, bldr_launch_box: LaunchBox) -> None:
        limits = ResourceLimits(wall_time_s=0.5, grace_s=0.1)
        ended = bldr_launch_box.run("trap '' TERM; while :; do sleep 1; done", limits=limits).exit
        assert ended.verdict is not None, f"it ended with {ended}, and nothing says that its time was over"
        assert (ended.verdict.limit, ended.verdict.value, ended.verdict.unit) == ("wall-time", 0.5, "s")
        assert ended.exit_code != 0

    def test_use_is_measured(self, bldr_launch_box: LaunchBox) -> None:
        usage = bldr_launch_box.run("sleep 0.2").exit.usage
        assert usage.wall_s >= 0.2
        assert usage.cpu_s is None or usage.cpu_s < 60
        assert usage.memory_peak_bytes is None or usage.memory_peak_bytes > 0

    def test_closing_ends_what_runs(self, bldr_launch_box: LaunchBox) -> None:
        with _family(bldr_launch_box) as (_, is_dead):
            bldr_launch_box.launcher.close()
            assert is_dead(), "the launcher is closed, and a process of its launches lives"
        bldr_launch_box.launcher.close()  # twice is once


@contextmanager
def _family(box: LaunchBox) -> Iterator[tuple[int, Callable[[], bool]]]:
    """A launch of several processes that run for long, its id, and whether all of them are dead: each holds the
    writing end of a pipe."""
    reading, writing = os.pipe()
    try:
        launch_id = box.start("sleep 600 & (sleep 600 & sleep 600) & echo started; wait", stdout=writing)
        os.close(writing)
        assert os.read(reading, 100) == b"started\n"
        os.set_blocking(reading, False)

        def is_dead() -> bool:
            try:
                return os.read(reading, 100) == b""
            except BlockingIOError:
                return False

        yield launch_id, is_dead
    finally:
        os.close(reading)


@pytest.fixture
def bldr_launch_box(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LaunchBox]:
    """A launcher of the sandbox of the contract. Skips where it is not supported here, with the reasons."""
    sandbox = request.cls.sandbox()
    probe = sandbox.probe()
    if not probe.supported:
        whys = sorted({shortfall.why for shortfall in probe.shortfalls})
        pytest.skip(f"the sandbox {probe.sandbox} is not supported here: {'; '.join(whys)}")
    box = LaunchBox(sandbox, tmp_path / "box")
    yield box
    box.launcher.close()
    for directory, names, _ in os.walk(box.root):  # an overlay leaves directories of mode 0
        for name in names:
            if not os.path.islink(f"{directory}/{name}"):
                os.chmod(f"{directory}/{name}", 0o700)
