"""What only a Mac can answer: the kernel enforces the profiles that all other tests here only read."""

import os
import socket
import subprocess
import sys

import pytest

from bldr.api import ResourceLimits
from bldr.testing import SandboxContract
from bldr.testing.sandboxes import LaunchBox
from bldr_macos.sandbox import MacosSandbox

pytestmark = [
    pytest.mark.macos,
    pytest.mark.skipif(sys.platform != "darwin", reason="needs the kernel of macOS"),
]


class TestContract(SandboxContract):
    sandbox = MacosSandbox


@pytest.fixture
def box(tmp_path):
    box = LaunchBox(MacosSandbox(), tmp_path / "box")
    yield box
    box.launcher.close()


def test_it_is_supported():
    probe = MacosSandbox().probe()
    assert probe.supported, probe.shortfalls


def test_what_was_not_declared_is_neither_read_nor_written_nor_found(box, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    ended = box.run(f"cat {secret}; ls {tmp_path}; echo x > {secret}; echo x > {tmp_path}/new", tree=box.tree())
    assert "secret\n" not in ended.out
    assert secret.read_text() == "secret"
    assert sorted(os.listdir(tmp_path)) == ["box", "secret"]


def test_inputs_are_not_changed_by_another_name(box, tmp_path):
    """Which of both names a rule for `file-link` is about is what public sources disagree on."""
    tree = box.tree()
    ended = box.run("ln /usr/bin/true mine && echo linked; touch own; ln own other && echo own linked", tree=tree)
    assert ended.out == ""
    assert not os.path.exists(f"{tree.upper}/mine")
    assert os.path.exists(f"{tree.upper}/own"), "it could not write at all"


def test_sockets_of_the_file_system_are_the_action_s_own(box):
    tree = box.tree()
    ended = box.run("nc -lU s & n=0; while [ ! -S s ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done; "
                    "test -S s && echo bound; kill $!", tree=tree)  # fmt: skip
    assert ended.out == "bound\n", ended


def test_no_setuid_file_is_made_and_none_is_run(box):
    tree = box.tree()
    box.run("cp /usr/bin/true mine; chmod u+s mine", tree=tree)
    assert not os.stat(f"{tree.upper}/mine").st_mode & 0o4000
    assert os.path.exists(f"{tree.upper}/mine"), "it could not be copied at all"
    assert box.run("/usr/bin/true").exit.exit_code == 0
    assert box.run("/usr/bin/su -c true").exit.exit_code == 126, "the shell could start it"


def test_nobody_is_reached(box):
    with socket.create_server(("127.0.0.1", 0)) as server:
        words = ("/usr/bin/nc", "-z", "-G", "5", "127.0.0.1", str(server.getsockname()[1]))
        assert subprocess.run(words).returncode == 0, "it cannot be reached from outside either"
        assert box.run(argv=words).exit.exit_code != 0


def test_shells_scripts_and_programs_start(box):
    tree = box.tree(script="#!/bin/sh\necho from a script\n")
    ended = box.run("cp script mine; chmod +x mine; ./mine; /usr/bin/env true && date > /dev/null", tree=tree)
    assert (ended.exit.exit_code, ended.out) == (0, "from a script\n"), ended


def test_memory_is_bounded_by_looking(box):
    limits = ResourceLimits(memory_bytes=200 << 20, wall_time_s=60)
    ended = box.run("x=$(head -c 600000000 /dev/zero | tr '\\0' x); sleep 1000", limits=limits)
    assert ended.exit.verdict is not None and ended.exit.verdict.limit == "memory", ended


def test_a_profile_of_sixty_four_kib_of_inputs_is_taken(tmp_path):
    from bldr_macos.profile import Permission, Place, make_profile

    places = tuple(Place((f"/private/tmp/{'x' * 100}/{number:05}",)) for number in range(1000))
    programs = (Place(("/usr/bin/true",)),)
    path = tmp_path / "large.sb"
    path.write_text(make_profile(Permission(reads=places + programs)))
    subprocess.run(["/usr/bin/sandbox-exec", "-f", path, "--", "/usr/bin/true"], check=True)


def test_what_every_program_asks_for_is_there(box):
    ended = box.run('mktemp -d "$TMPDIR/x.XXXXXX" && hostname > /dev/null && id > /dev/null && date > /dev/null')
    assert ended.exit.exit_code == 0, ended
