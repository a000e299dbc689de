"""Commands under profiles: one file for all launches that may do the same, and what a shell would say of programs."""

import os

import pytest

from bldr.api import Input, Launch, SandboxSpec, StagedTree
from bldr_macos.confinement import Seatbelt, check_executable, make_directory
from bldr_macos.host import RealHost
from bldr_macos.permission import Permissions
from bldr_unmounted.confinement import RefusedError, Scratch
from bldr_unmounted.places import Command, Places


@pytest.fixture
def seatbelt(tmp_path):
    root = os.path.realpath(tmp_path)
    directory = make_directory(root)
    permissions = Permissions(RealHost(), root, directory, loopback=False, case_insensitive=False)
    return Seatbelt("/usr/bin/sandbox-exec", permissions, directory, is_root=False, loopback=False)


def launch(tmp_path, number=1, **sets):
    stage = f"{os.path.realpath(tmp_path)}/staging/{number}"
    tree = StagedTree("/build", f"{stage}/lower", f"{stage}/upper", f"{stage}/work")
    return Launch(
        launch_id=number, spec=SandboxSpec(**sets), argv=("sh", "-c", "true"), cwd="/",
        stdin=0, stdout=1, stderr=2, tree=tree,
    )  # fmt: skip


def confine(seatbelt, launch):
    return seatbelt.confine(launch, Command(launch, Places({})), "/bin/sh", Scratch("", {}))


def test_the_command_follows_the_profile_and_its_parameters(seatbelt, tmp_path):
    first = launch(tmp_path)
    program, option, path, *defined, end, executable, flag, script = confine(seatbelt, first)
    assert (program, option, end) == ("/usr/bin/sandbox-exec", "-f", "--")
    assert (executable, flag, script) == ("/bin/sh", "-c", "true")
    assert defined[::2] == ["-D"] * (len(defined) // 2)
    assert f"TREE={first.tree.upper}" in defined[1::2]
    with open(path) as file:
        assert file.read().startswith("(version 1)\n(deny default)\n")


def test_one_file_serves_all_launches_that_may_do_the_same(seatbelt, tmp_path):
    words = [confine(seatbelt, launch(tmp_path, number)) for number in (1, 2, 3)]
    other = confine(seatbelt, launch(tmp_path, 4, inputs=(Input("/usr/share"),)))
    assert len({argv[2] for argv in words}) == 1
    assert len({argv[3:] for argv in words}) == 3
    assert other[2] != words[0][2]
    directory = os.path.dirname(other[2])
    assert sorted(os.listdir(directory)) == sorted(os.path.basename(argv[2]) for argv in (words[0], other))
    seatbelt.close()
    assert not os.path.exists(directory)


def test_a_profile_is_made_once(seatbelt, tmp_path, monkeypatch):
    made = []
    from bldr_macos import confinement

    original = confinement.make_profile
    monkeypatch.setattr(confinement, "make_profile", lambda found: made.append(found) or original(found))
    for number in range(5):
        confine(seatbelt, launch(tmp_path, number))
    assert len(made) == 1


def test_a_name_that_no_profile_can_hold_refuses_the_launch(seatbelt, tmp_path):
    with pytest.raises(RefusedError) as refused:
        confine(seatbelt, launch(tmp_path, inputs=(Input("/" + "/".join(["x" * 200] * 6)),)))
    assert "longer than 1023 bytes" in refused.value.failure.message


@pytest.mark.parametrize(
    ("content", "mode", "error"),
    [
        (b"#!/bin/sh\n", 0o755, None),
        (b"#! /usr/bin/env python3 -I\n", 0o755, None),
        (b"\xcf\xfa\xed\xfe\0\0", 0o755, None),
        (b"two words\n", 0o755, OSError),
        (b"", 0o755, OSError),
        (b"#!/no/such/shell\n", 0o755, FileNotFoundError),
        (b"#!/bin/sh\n", 0o644, PermissionError),
    ],
)
def test_programs_are_told_from_other_files(tmp_path, content, mode, error):
    path = tmp_path / "program"
    path.write_bytes(content)
    path.chmod(mode)
    if error is None:
        check_executable(str(path), "program")
        return
    with pytest.raises(error) as caught:
        check_executable(str(path), "program")
    assert type(caught.value) is error


def test_a_program_that_is_missing_is_told_by_its_path(tmp_path):
    with pytest.raises(FileNotFoundError):
        check_executable(str(tmp_path / "none"), "none")
