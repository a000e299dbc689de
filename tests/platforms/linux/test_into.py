"""Standard output that goes to a file of the sandbox, as a shell's `>` has it."""

import os
import stat
from pathlib import Path

import pytest

from bldr.api import ProcessPolicy, ResourceLimits


def written(tree, name="out"):
    return (Path(tree.upper) / name).read_text()


def test_the_file_is_made_or_emptied(box):
    tree = box.tree()
    ended = box.run("printf", "%s", "text", tree=tree, into="out")
    assert (ended.exit_code, ended.out, ended.err) == (0, "", "")
    assert written(tree) == "text"
    tree = box.tree()
    (Path(tree.upper) / "old").write_text("something longer")
    os.chown(f"{tree.upper}/old", *(box.launcher.owner or (-1, -1)))
    assert box.run("printf", "%s", "text", tree=tree, into="old").exit_code == 0
    assert written(tree, "old") == "text"


def test_an_input_is_not_emptied(box):
    tree = box.tree(files=(("in", "as it was"),))
    ended = box.run("printf", "%s", "text", tree=tree, into="in")
    if box.launcher.owner:
        assert (ended.exit_code, ended.err) == (2, "bldr: in: cannot be written: permission denied\n")
    assert (Path(tree.lower) / "in").read_text() == "as it was"


def test_it_is_made_with_the_commands_rights(box):
    tree = box.tree()
    assert box.run("true", tree=tree, into="out", process=ProcessPolicy(umask=0o027)).exit_code == 0
    status = os.stat(f"{tree.upper}/out")
    assert stat.S_IMODE(status.st_mode) == 0o640
    if box.launcher.owner:
        assert (status.st_uid, status.st_gid) == box.launcher.owner


def test_errors_are_still_printed(box):
    tree = box.tree()
    ended = box.run("sh", "-c", "echo one; echo two >&2; exit 3", tree=tree, into="out")
    assert (ended.exit_code, ended.out, ended.err) == (3, "", "two\n")
    assert written(tree) == "one\n"


def test_the_command_can_open_it_again_by_its_number(box):
    tree = box.tree()
    ended = box.run("sh", "-c", "echo one; echo two >> /dev/stdout", tree=tree, into="out")
    assert ended.exit_code == 0, ended
    assert written(tree) == "one\ntwo\n"


@pytest.mark.parametrize(
    ("into", "reason"),
    [("no/such/out", "no such file or directory"), ("/usr/out", "read-only file system"), ("", None)],
)
def test_a_file_that_cannot_be_written(box, into, reason):
    """The command is not started, and the exit code is that of a shell."""
    tree = box.tree()
    ended = box.run("printf", "text", tree=tree, into=into)
    if reason is None:
        assert (ended.exit_code, ended.out) == (0, "text")
        return
    assert (ended.exit_code, ended.out, ended.err) == (2, "", f"bldr: {into}: cannot be written: {reason}\n")
    assert ended.exit.failure is None


def test_it_is_made_before_the_program_is_looked_for(box):
    tree = box.tree()
    ended = box.run("no-such-command", tree=tree, into="out")
    assert (ended.exit_code, written(tree)) == (127, "")
    assert "command not found" in ended.err


def test_it_is_no_log(box):
    """What it holds counts as an output, not against the limit of what is printed."""
    tree = box.tree()
    limits = ResourceLimits(log_bytes=1000)
    ended = box.run("head", "-c", "100000", "/dev/zero", tree=tree, into="out", resources=limits)
    assert (ended.exit_code, ended.exit.verdict) == (0, None)
    limits = ResourceLimits(file_bytes=1000)
    ended = box.run("head", "-c", "100000", "/dev/zero", tree=box.tree(), into="out", resources=limits)
    assert ended.exit.verdict.limit == "file-size"


def test_a_launch_that_is_alone_has_one_too(box):
    """With rights of root nothing is kept from one launch to the next."""
    tree = box.tree()
    process = ProcessPolicy(uid=0, gid=0, user="root")
    assert box.run("printf", "text", tree=tree, into="out", process=process).exit_code == 0
    assert written(tree) == "text"
    process = ProcessPolicy(as_pid_1=True)
    tree = box.tree()
    assert box.run("sh", "-c", "echo $$", tree=tree, into="out", process=process).exit_code == 0
    assert written(tree) == "1\n"
