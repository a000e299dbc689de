"""What the probe says of a Windows, from what it read back there."""

import pathlib
import subprocess
import sys

import pytest

from bldr.api import GUARANTEES, LIMITS, IsolationError, Level
from bldr.testing.sandboxes import SandboxContract
from bldr_windows.probe import probe
from bldr_windows.sandbox import WindowsSandbox


def test_a_windows_that_takes_everything(recorded):
    system = recorded()
    found = probe("windows", system)
    assert found.supported
    assert found.isolation == WindowsSandbox().promised
    assert system.open == set(), "handles are left open"
    ran = [start.command_line for (start,) in system.named("start")]
    assert [line.partition(" /c ")[2] for line in ran] == ["exit", "copy /y input output"]
    assert len(system.named("resume")) == 1, "the process of the first trial came to run"


def test_a_windows_whose_actions_cannot_use_what_is_made_for_them_is_not_supported(recorded):
    system = recorded()
    system.copies = False
    found = probe("windows", system)
    assert (found.supported, found.isolation) == (False, {})
    assert "neither read nor write a directory" in found.shortfalls[0].why
    system = recorded()
    system.refusals = {"grant_user": PermissionError(13, "Access is denied")}
    assert not probe("windows", system).supported
    assert system.open == set()


def test_a_windows_that_takes_nothing_says_so(recorded):
    found = probe("windows", recorded(takes=(), integrity=0x3000, privileges=("SeBackupPrivilege",), elevated=True))
    assert found.supported
    assert found.isolation == dict.fromkeys(("env", "wall-time", "processes"), Level.SUPERVISED)
    short = {shortfall.guarantee for shortfall in found.shortfalls}
    assert {"memory", "cpu", "cpu-share", "privileges"} <= short


@pytest.mark.parametrize(
    "token",
    [
        {"integrity": 0x2000},
        {"privileges": ("SeDebugPrivilege",)},
        {"elevated": True},
    ],
)
def test_a_token_that_keeps_something_is_no_guarantee(recorded, token):
    assert "privileges" not in probe("windows", recorded(**token)).isolation


def test_what_everybody_has_is_nothing_kept(recorded):
    assert "privileges" in probe("windows", recorded(privileges=("SeChangeNotifyPrivilege",))).isolation


def test_every_shortfall_has_a_reason_and_a_remedy(recorded):
    found = probe("windows", recorded())
    missing = {name for name in (*GUARANTEES, *LIMITS) if name not in found.isolation}
    assert {shortfall.guarantee for shortfall in found.shortfalls} == missing
    assert all(shortfall.why and shortfall.remedy for shortfall in found.shortfalls)


def test_a_windows_that_starts_nothing_is_not_supported(recorded):
    system = recorded()
    system.refusals = {"start": PermissionError(13, "Access is denied")}
    found = probe("windows", system)
    assert (found.supported, found.isolation) == (False, {})
    assert found.shortfalls[0].why == "a restricted process cannot be started in a job: access is denied"
    assert system.open == set()


@pytest.mark.skipif(sys.platform == "win32", reason="is about other systems")
def test_elsewhere_it_is_not_supported_and_says_why():
    found = WindowsSandbox().probe()
    assert (found.supported, found.foreign, found.isolation) == (False, True, {})
    assert {shortfall.why for shortfall in found.shortfalls} == {
        f"jobs are a part of Windows, and this is {sys.platform}"
    }
    with pytest.raises(IsolationError, match="jobs are a part of Windows"):
        WindowsSandbox().open("/nowhere")


@pytest.mark.parametrize("place", ["bldr_windows.sandbox.WindowsSandbox", "bldr_macos.sandbox.MacosSandbox"])
def test_what_it_promises_is_read_without_importing_anything(place):
    """Every build asks all platforms, those of other systems too."""
    module, _, name = place.rpartition(".")
    code = f"import sys\nimport bldr.api\nhad = set(sys.modules)\nfrom {module} import {name}\n"
    code += f"assert {name}().promised\nprint(*sorted(set(sys.modules) - had))"
    ran = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, timeout=60, text=True)
    assert ran.stdout.split() == [module.partition(".")[0], module]


IN_PYTHON = {
    "test_exit_codes_are_those_of_a_shell": "test_exit_codes_are_the_command_s_own",
    "test_what_is_printed_arrives_apart": "test_what_is_printed_arrives_apart",
    "test_a_program_that_is_missing_ends_with_127": "test_a_program_that_is_missing_ends_with_127",
    "test_a_file_that_is_no_program_ends_with_126": "test_what_is_no_program_ends_with_126",
    "test_the_environment_is_what_the_spec_says": "test_the_environment_is_the_spec_s_and_what_windows_needs",
    "test_the_tree_is_read_and_what_is_written_is_left_in_upper": "test_the_tree_is_where_the_command_starts",
    "test_changing_an_input_changes_the_action_s_copy_only": "test_changing_an_input_changes_the_action_s_copy_only",
    "test_temporary_directories_are_empty_and_of_one_run": "test_temporary_directories_are_empty_and_of_one_run",
    "test_every_launch_has_one_exit_and_the_isolation_that_was_promised": "test_what_is_promised_is_reached",
    "test_killing_ends_all_processes": "test_killing_ends_all_processes",
    "test_wall_time_ends_an_action_with_a_verdict": "test_wall_time_ends_it_with_a_verdict",
    "test_use_is_measured": "test_use_is_measured",
    "test_closing_ends_what_runs": "test_closing_ends_what_runs",
}
"""The contract's commands are for a POSIX shell: where `test_launches.py` says each of them in Python."""


class TestContract(SandboxContract):
    """What it says of itself."""

    sandbox = WindowsSandbox


for _name in IN_PYTHON:
    setattr(TestContract, _name, None)


def test_all_of_the_contract_is_said_in_python():
    """Also what is added to it: that runs here, and fails on a Windows until it is said there."""
    launches = (pathlib.Path(__file__).parent / "test_launches.py").read_text(encoding="utf-8")
    assert [name for name in IN_PYTHON.values() if f"def {name}(box" not in launches] == []
    assert set(IN_PYTHON) < set(vars(SandboxContract))
