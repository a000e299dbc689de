"""The launcher, on a Windows that only remembers what it was asked."""

import os
import select
import time

import pytest

from bldr.api import Launch, Level, ProcessPolicy, ResourceLimits, SandboxSpec, StagedTree, Temp
from bldr_windows import win32
from bldr_windows.launcher import WindowsLauncher
from bldr_windows.win32 import Accounting, Message

LIMITS = ResourceLimits(memory_bytes=1 << 20, cpu_time_s=2.0, processes=3)


@pytest.fixture
def system(recorded):
    return recorded()


@pytest.fixture
def launcher(system, tmp_path, monkeypatch):
    (tmp_path / "tool.EXE").write_text("")
    monkeypatch.setattr("bldr_windows.launcher.find_program", lambda name, *_: f"C:\\bin\\{name}.exe")
    made = WindowsLauncher(str(tmp_path), system, {"env": Level.SUPERVISED})
    yield made
    made.close()
    assert system.open == set(), "handles are left open"
    assert not [name for name in os.listdir(tmp_path) if name.startswith("tmp-")]


@pytest.fixture
def launch(tmp_path):
    def make(*argv, limits=LIMITS, tree=None, env=(), launch_id=7):
        return Launch(
            launch_id=launch_id,
            spec=SandboxSpec(temps=(Temp("/scratch"),), env=env, resources=limits, process=ProcessPolicy()),
            argv=argv or ("tool", "a b"),
            cwd="/build" if tree else str(tmp_path),
            stdin=0,
            stdout=1,
            stderr=2,
            tree=tree,
        )

    return make


def wait(launcher):
    """The exits of the first reap that has any; waits as the engine does."""
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        select.select([launcher.fileno()], [], [], 1)
        exits = launcher.reap()
        if exits:
            return exits
    raise AssertionError("nothing was told of its end")


def test_a_command_is_started_inside_and_only_then_resumed(launcher, system, launch):
    launcher.start(launch())
    names = [name for name, *_ in system.calls]
    assert names.index("set_extended") < names.index("associate") < names.index("start") < names.index("resume")
    ((start,),) = system.named("start")
    assert start.command_line == '"C:\\bin\\tool.exe" "a b"'
    assert start.stdio == (100, 101, 102)
    assert start.token and start.job
    system.end(0)
    (ended,) = wait(launcher)
    assert (ended.exit_code, ended.verdict, ended.failure) == (0, None, None)


def test_one_that_is_not_born_inside_is_put_there_before_it_runs(launcher, system, launch, monkeypatch):
    monkeypatch.setattr(system, "is_in_job", lambda process, job: False)
    launcher.start(launch())
    names = [name for name, *_ in system.calls]
    assert names.index("start") < names.index("assign") < names.index("resume")


def test_one_that_cannot_be_put_there_never_runs(launcher, system, launch, monkeypatch):
    monkeypatch.setattr(system, "is_in_job", lambda process, job: False)
    system.refusals = {"assign": OSError(5, "Access is denied")}
    launcher.start(launch())
    (ended,) = wait(launcher)
    assert ended.exit_code == 126
    assert system.named("terminate") and not system.named("resume")


def test_what_is_reached_is_what_the_job_says(launcher, system, launch):
    launcher.start(launch())
    system.takes = ()
    system.has |= {"extended": win32.Extended()}
    launcher.start(launch(launch_id=8))
    system.end(0)
    by_id = {end.launch_id: end for end in wait(launcher)}
    assert by_id[7].isolation == {
        "env": Level.SUPERVISED,
        "memory": Level.KERNEL,
        "processes": Level.SUPERVISED,
        "cpu": Level.SUPERVISED,
    }
    assert by_id[8].isolation == {"env": Level.SUPERVISED, "processes": Level.SUPERVISED}


@pytest.mark.parametrize("kind", [win32.MSG_JOB_MEMORY_LIMIT, win32.MSG_PROCESS_MEMORY_LIMIT])
def test_memory_that_is_used_up_ends_it_with_a_verdict(launcher, system, launch, kind):
    launcher.start(launch())
    system.said.append(Message(kind, 7, 4711))
    (ended,) = wait(launcher)
    assert (ended.verdict.limit, ended.verdict.value, ended.exit_code) == ("memory", 1 << 20, 137)
    assert system.named("terminate_job")


def test_too_many_processes_end_it_with_a_verdict(launcher, system, launch):
    launcher.start(launch())
    system.used = Accounting(active=4)
    system.said.append(Message(win32.MSG_NEW_PROCESS, 7, 4712))
    (ended,) = wait(launcher)
    assert (ended.verdict.limit, ended.verdict.value, ended.verdict.used) == ("processes", 3, 4)


def test_as_many_as_allowed_do_not(launcher, system, launch):
    launcher.start(launch())
    system.used = Accounting(active=3)
    system.said.append(Message(win32.MSG_NEW_PROCESS, 7, 4712))
    launcher.reap()
    system.end(5)
    (ended,) = wait(launcher)
    assert (ended.exit_code, ended.verdict) == (5, None)


def test_processor_time_that_is_used_up_ends_it_with_a_verdict(launcher, system, launch):
    launcher.start(launch())
    system.used = Accounting(active=1, cpu_s=2.5)
    (ended,) = wait(launcher)
    assert (ended.verdict.limit, ended.verdict.value, ended.verdict.used) == ("cpu", 2.0, 2.5)


def test_what_the_kernel_ended_for_its_processor_time_has_a_verdict_too(launcher, system, launch):
    launcher.start(launch())
    system.end(1816, Accounting(cpu_s=2.0))
    (ended,) = wait(launcher)
    assert (ended.verdict.limit, ended.exit_code) == ("cpu", 137)


def test_wall_time_ends_it_with_a_verdict(launcher, system, launch):
    launcher.start(launch(limits=ResourceLimits(wall_time_s=0.05)))
    (ended,) = wait(launcher)
    assert (ended.verdict.limit, ended.verdict.value) == ("wall-time", 0.05)


def test_what_has_ended_is_not_judged_for_its_time_by_who_looks_late(launcher, system, launch):
    launcher.start(launch(limits=ResourceLimits(wall_time_s=0.001)))
    time.sleep(0.01)  # the loop is busy elsewhere
    system.end(0)
    (ended,) = wait(launcher)
    assert (ended.exit_code, ended.verdict) == (0, None)


def test_messages_of_a_launch_whose_number_is_0_are_heard(launcher, system, launch):
    launcher.start(launch(launch_id=0))
    system.said.append(Message(win32.MSG_JOB_MEMORY_LIMIT, 0, 4711))
    (ended,) = wait(launcher)
    assert (ended.launch_id, ended.verdict.limit) == (0, "memory")


def test_what_a_command_leaves_behind_is_ended_before_it_counts_as_ended(launcher, system, launch):
    launcher.start(launch())
    system.end(3, Accounting(active=2))
    (ended,) = wait(launcher)
    assert ended.exit_code == 3
    assert system.named("terminate_job")


def test_use_is_what_the_job_counted(launcher, system, launch):
    launcher.start(launch())
    system.has["extended"] = win32.Extended(peak_job_memory_bytes=4096)
    system.end(0, Accounting(cpu_s=1.5, read_bytes=10, written_bytes=20))
    (ended,) = wait(launcher)
    usage = ended.usage
    assert (usage.cpu_s, usage.memory_peak_bytes, usage.read_bytes, usage.written_bytes) == (1.5, 4096, 10, 20)


def test_messages_of_a_launch_that_is_over_are_nobody_s(launcher, system, launch):
    system.said.append(Message(win32.MSG_JOB_MEMORY_LIMIT, 99, 1))
    launcher.start(launch())
    system.end(0)
    (ended,) = wait(launcher)
    assert ended.verdict is None


def test_directories_of_a_launch_are_labelled_before_anything_is_in_them(launcher, system, launch, tmp_path):
    parts = [tmp_path / name for name in ("lower", "upper", "work")]
    for part in parts:
        part.mkdir()
    launcher.start(launch(tree=StagedTree("/build", *map(str, parts))))
    labelled = [path for (path,) in system.named("label_low")]
    assert labelled[-1] == str(parts[1])
    assert os.path.dirname(labelled[0]) == str(parts[2])
    assert [path for (path,) in system.named("grant_user")] == labelled
    system.end(0)
    wait(launcher)


@pytest.mark.parametrize("refused", ["label_low", "grant_user"])
def test_a_directory_that_actions_cannot_be_let_into_is_a_failure_that_names_it(launcher, system, launch, refused):
    system.refusals = {refused: PermissionError(13, "Access is denied")}
    launcher.start(launch())
    (ended,) = wait(launcher)
    assert ended.failure.message.startswith("actions cannot be let into the directory ")
    assert ended.failure.message.endswith(": access is denied")
    assert ended.failure.hint
    assert not system.named("start")


def test_where_tokens_are_not_low_nothing_is_labelled(recorded, launch, tmp_path):
    """A label would keep nobody out there."""
    system = recorded(integrity=0x3000)
    system.refusals = {"label_low": PermissionError(13, "Access is denied")}
    made = WindowsLauncher(str(tmp_path), system, {})
    try:
        made.start(launch())
        assert system.named("grant_user") and not system.named("label_low")
    finally:
        made.close()


@pytest.mark.posix("names that Windows does not take")
def test_an_input_that_windows_cannot_hold_is_a_failure_that_names_it(launcher, system, launch, tmp_path):
    parts = [tmp_path / name for name in ("lower", "upper", "work")]
    for part in parts:
        part.mkdir()
    (parts[0] / "aux.c").write_text("")
    launcher.start(launch(tree=StagedTree("/build", *map(str, parts))))
    (ended,) = wait(launcher)
    assert ended.failure.message == 'the input aux.c cannot be there: "aux.c" is the name of a device on Windows'
    assert not system.named("start")


def test_a_command_line_that_cannot_be_is_the_command_s_fault(launcher, system, launch):
    launcher.start(launch("tool", "a" * 40_000))
    (ended,) = wait(launcher)
    assert (ended.exit_code, ended.failure) == (126, None)


def test_variables_that_are_one_are_a_failure_to_prepare(launcher, system, launch):
    launcher.start(launch(env=(("Path", ""), ("PATH", ""))))
    (ended,) = wait(launcher)
    assert "Path and PATH are one on Windows" in ended.failure.message


def test_closing_ends_everything_and_twice_is_once(launcher, system, launch):
    launcher.start(launch())
    launcher.close()
    assert system.named("terminate_job")
    launcher.close()
