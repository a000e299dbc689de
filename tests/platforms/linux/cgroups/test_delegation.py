"""An ordinary user in a group that root has given away, as systemd does it."""

import os
import traceback
from pathlib import Path

import pytest

from bldr_linux import syscalls
from bldr_linux.cgroups.delegation import MEMBERS
from bldr_linux.cgroups.tree import open_tree

USER = 1234
MIB = 1 << 20
FILES = ("", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads", "/tasks")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a group away")


@pytest.fixture
def given(make_tree, groups_of):
    """A group in every hierarchy that belongs to an ordinary user: the tree that it is in, and the directories."""
    tree = make_tree()
    paths = [f"{path}/given" for path in groups_of(tree.description)]
    for path in paths:
        os.mkdir(path)
        for file in FILES:
            if os.path.exists(f"{path}{file}"):
                os.chown(f"{path}{file}", USER, USER)
    return tree, paths


@pytest.fixture
def as_user(given):
    """Runs a function as the user in the given groups; it fails where the function does."""

    def run(function):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                for path in given[1]:
                    Path(f"{path}/cgroup.procs").write_text("0")
                os.setgroups([])
                os.setresgid(USER, USER, USER)
                os.setresuid(USER, USER, USER)
                function()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0, "it failed as the user; see the trace above"

    return run


def test_all_limits_hold_there(given, as_user, run_in_cell, payloads):
    def enforce():
        tree = open_tree()
        assert tree.levels == given[0].levels
        hog = run_in_cell(tree, lambda cell: cell.run(lambda: payloads.touch(256), memory=64 * MIB))
        assert "memory" in hog.hits
        bomb = run_in_cell(tree, lambda cell: cell.run(lambda: payloads.fork_many(50), processes=9))
        assert "processes" in bomb.hits
        tree.close()

    as_user(enforce)


def test_the_group_is_as_before_afterwards(given, as_user):
    def open_twice():
        one = open_tree()
        other = open_tree()
        assert one.description[0] != "none"
        one.close()
        # Its processes are still where they must be, as long as anybody needs it.
        assert other.levels == given[0].levels
        other.close()
        for path in given[1]:
            assert [entry.name for entry in os.scandir(path) if entry.is_dir()] == []
            assert str(os.getpid()) in Path(f"{path}/cgroup.procs").read_text().split()

    as_user(open_twice)


def test_processes_move_to_a_leaf_and_back(given, as_user):
    tree, paths = given
    if not tree.description[2]:
        pytest.skip("cgroup v2 has no controllers here, and its groups with children may hold processes")

    def look():
        (path,) = paths
        own = open_tree()
        assert Path(f"{path}/{MEMBERS}/cgroup.procs").read_text().split() == [str(os.getpid())]
        assert set(Path(f"{path}/cgroup.subtree_control").read_text().split()) >= {"memory", "pids"}
        own.close()
        assert Path(f"{path}/cgroup.subtree_control").read_text().split() == []

    as_user(look)


def test_in_a_container_that_has_cgroup_v2_to_itself(given, run_in_cell):
    """Its root group is not the kernel's, holds the container's processes, and must be emptied first."""
    tree, paths = given
    path = f"{tree.description[1]}/given"
    if path not in paths:
        pytest.skip("no group of cgroup v2 can be made here")

    def look():
        own = open_tree()
        assert own.description[1].startswith("/sys/fs/cgroup/bldr-"), own.shortfalls
        assert own.description[2] == tree.description[2]
        assert run_in_cell(own, lambda cell: cell.run(lambda: None).code) == 0
        own.close()
        assert [entry.name for entry in os.scandir("/sys/fs/cgroup") if entry.is_dir()] == []

    def enter():
        Path(f"{path}/cgroup.procs").write_text("0")
        pid, _ = syscalls.clone(syscalls.CLONE_NEWCGROUP | syscalls.CLONE_NEWNS)
        if pid:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        try:
            syscalls.make_mounts_private()
            syscalls.move_mount(
                syscalls.new_mount("cgroup2", {}, 0), os.open("/sys/fs/cgroup", os.O_PATH | os.O_DIRECTORY)
            )
            look()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    pid = os.fork()
    if pid == 0:
        try:
            os._exit(enter())
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0, "it failed in the container; see the trace above"
