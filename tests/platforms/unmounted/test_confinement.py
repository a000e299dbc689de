"""What a platform says of its commands is what the launcher does."""

import os
import select

import pytest

from bldr.api import Launch, Level, SandboxSpec, SetupFailure, Temp, Usage
from bldr_unmounted.confinement import RefusedError
from bldr_unmounted.launcher import UnmountedLauncher


class Announced:
    """Prints the program's name before each command, and refuses those that are called so."""

    def __init__(self):
        self.seen = []
        self.closed = 0

    def isolation(self, launch):
        return {"fs-read": Level.KERNEL}

    def confine(self, launch, command, program, scratch):
        self.seen.append((program, scratch))
        if "refused" in command.argv:
            raise RefusedError(SetupFailure("not this one", "try another"))
        return ("/bin/sh", "-c", 'echo "$0"; exec "$@"', os.path.basename(program), program, *command.argv[1:])

    def close(self):
        self.closed += 1


class Constant:
    """Says of every launch that it uses this."""

    interval_s = 0.01

    def __init__(self, usage):
        self._usage = usage

    def usage(self, leader):
        return self._usage


@pytest.fixture
def run(tmp_path):
    """Runs one command to its end in a launcher with the confinement `run.confinement`."""
    launchers = []

    def run_one(*argv, sampling=None, **sets):
        launcher = UnmountedLauncher(str(tmp_path), run_one.confinement, sampling)
        launchers.append(launcher)
        spec = SandboxSpec(env=(("PATH", "/usr/bin:/bin"),), **sets)
        with open(os.devnull) as null, open(tmp_path / "log", "wb") as log:
            launcher.start(
                Launch(
                    launch_id=1, spec=spec, argv=argv, cwd="/",
                    stdin=null.fileno(), stdout=log.fileno(), stderr=log.fileno(),
                )
            )  # fmt: skip
        run_one.measured = launcher.measure(1)
        exits = []
        while not exits:
            select.select([launcher.fileno()], [], [])
            exits = list(launcher.reap())
        run_one.output = (tmp_path / "log").read_text()
        return exits[0]

    run_one.confinement = Announced()
    yield run_one
    for launcher in launchers:
        launcher.close()


def test_the_command_is_started_as_the_platform_says_and_reaches_what_it_says(run):
    end = run("echo", "a b")
    assert (end.exit_code, end.isolation) == (0, {"fs-read": Level.KERNEL})
    assert run.output == "echo\na b\n"


def test_the_program_is_found_before_it_is_wrapped(run):
    assert run("no-such-program").exit_code == 127
    assert run.confinement.seen == []


def test_a_refusal_is_the_end_of_the_launch_and_leaves_no_directory(run, tmp_path):
    end = run("echo", "refused", temps=(Temp("/tmp"),))
    assert end.failure == SetupFailure("not this one", "try another")
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_scratch_is_told_by_names_that_depend_on_the_spec_only(run, tmp_path):
    run("true", temps=(Temp("/tmp"), Temp("/var/tmp")))
    ((_, scratch),) = run.confinement.seen
    assert os.path.dirname(scratch.directory) == str(tmp_path)
    assert scratch.temps == {"/tmp": f"{scratch.directory}/tmp-0", "/var/tmp": f"{scratch.directory}/tmp-1"}
    assert not os.path.exists(scratch.directory)


def test_closing_closes_the_confinement_once(run, tmp_path):
    launcher = UnmountedLauncher(str(tmp_path), run.confinement)
    launcher.close()
    launcher.close()
    assert run.confinement.closed == 1


def test_what_is_sampled_is_measured_and_told_at_the_end(run):
    end = run("true", sampling=Constant(Usage(cpu_s=1.0, memory_bytes=5 << 40, processes=7)))
    assert (run.measured.memory_bytes, run.measured.memory_peak_bytes, run.measured.processes) == (5 << 40, 5 << 40, 7)
    assert (end.usage.memory_peak_bytes, end.usage.processes) == (5 << 40, 7)


def test_nothing_is_measured_where_nobody_samples(run):
    run("true")
    assert run.measured is None
