"""The bundled platforms keep the contract that the kit holds strangers' to, and one that pretends does not."""

import pytest

from bldr.testing import FakeSandbox, SandboxContract
from bldr.testing.sandboxes import LaunchBox
from bldr_linux.sandbox import LinuxSandbox
from bldr_plain.sandbox import PlainSandbox


class TestLinux(SandboxContract):
    sandbox = LinuxSandbox


class TestPlain(SandboxContract):
    sandbox = PlainSandbox


def test_a_platform_that_runs_nothing_is_found_out(tmp_path):
    box = LaunchBox(FakeSandbox(), tmp_path / "box")
    contract = SandboxContract()
    for test in (
        contract.test_exit_codes_are_those_of_a_shell,
        contract.test_what_is_printed_arrives_apart,
        contract.test_the_tree_is_read_and_what_is_written_is_left_in_upper,
        contract.test_wall_time_ends_an_action_with_a_verdict,
    ):
        with pytest.raises(AssertionError):
            test(box)
    box.launcher.close()


def test_a_shell_around_every_command_does_not_answer_for_the_platform(tmp_path):
    box = LaunchBox(FakeSandbox(lambda launch: 127 if launch.argv[0] == "sh" else 1), tmp_path / "box")
    with pytest.raises(AssertionError, match="of no-such-program, started without a shell"):
        SandboxContract().test_a_program_that_is_missing_ends_with_127(box)
    box.launcher.close()


def test_a_platform_that_says_nothing_of_what_it_lacks_is_found_out():
    class Silent(SandboxContract):
        @staticmethod
        def sandbox():
            return FakeSandbox(isolation={})

    with pytest.raises(AssertionError, match="these are not given, and nothing says why: devices, env, fs-read"):
        Silent().test_its_probe_is_complete_and_repeatable()
