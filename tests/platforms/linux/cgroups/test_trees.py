"""Top groups: made, shared by nobody, removed with all that is in them, also when their owner died first."""

import os
import signal
import subprocess
import sys
import time

import pytest

from bldr.api import LIMITS, IsolationError, Level
from bldr_linux import probe
from bldr_linux.cgroups import leftovers
from bldr_linux.cgroups import tree as trees
from bldr_linux.cgroups.tree import no_tree, open_tree
from bldr_linux.client import LinuxLauncher

# Opens a tree, puts a process into all of its groups, says where it is, and waits to be killed.
_OWNER = """
import os, sys, time
from bldr_linux.cgroups.group import CellGroup, enter_leaf
from bldr_linux.cgroups.tree import open_tree
tree = open_tree()
if os.fork() == 0:
    enter_leaf(tree.description)
    group = CellGroup(tree.description, 1)
    group.prepare({})
    os.write(3, repr((tree.description, os.getpid())).encode() + b"\\n")
    time.sleep(1000)
time.sleep(1000)
"""


@pytest.fixture
def owner_process():
    """Another process with a tree of its own: the process, the description of the tree, and who lives in it."""
    processes = []

    def start():
        reading, writing = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-c", f"import os\nos.dup2({writing}, 3)\n{_OWNER}"],
            pass_fds=[writing],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        processes.append(process)
        os.close(writing)
        with open(reading) as file:
            description, pid = eval(file.readline())
        return process, description, pid

    yield start
    for process in processes:
        process.kill()
        process.wait()


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def exist(paths):
    return [path for path in paths if os.path.isdir(path)]


def test_nothing_is_left_after_close(tree, launch_all, groups_of):
    paths = groups_of(tree.description)
    assert exist(paths) == paths
    launch_all(lambda cell: cell.run(lambda: None).code)
    tree.close()
    assert exist(paths) == []
    tree.close()
    assert tree.description[0] == "none"


def test_close_kills_what_is_left(tree, launch_all, groups_of, until):
    def body(cell):
        pid = cell.start(lambda: time.sleep(1000))
        return pid, sum(pid in members(path) for path in groups_of(tree.description))

    pid, count = launch_all(body)
    assert is_alive(pid)
    assert count == len(groups_of(tree.description))
    tree.close()
    until(lambda: not is_alive(pid))
    assert exist(groups_of(tree.description)) == []


def test_close_catches_who_forks_all_the_time_without_the_kernel_s_help(
    tree, launch_all, monkeypatch, groups_of, needs
):
    """As on kernels before 5.14, and on v1."""
    needs("processes")
    deadline = time.monotonic() + 30

    def run_away():
        for _ in range(10):
            if os.fork() == 0:
                while time.monotonic() < deadline:
                    try:
                        if os.fork():
                            os._exit(0)
                    except OSError:
                        time.sleep(0)

    launch_all(lambda cell: cell.run(run_away, processes=30).code)
    write = leftovers.files.write

    def write_other(path, value):
        if path.endswith("cgroup.kill"):
            raise FileNotFoundError(path)
        write(path, value)

    monkeypatch.setattr(leftovers.files, "write", write_other)
    paths = groups_of(tree.description)
    tree.close()
    assert exist(paths) == []


def test_two_trees_at_once_do_not_meet(make_tree, run_in_cell, groups_of):
    one, other = make_tree(), make_tree()
    assert not set(groups_of(one.description)) & set(groups_of(other.description))
    paths = groups_of(other.description)
    one.close()
    assert exist(paths) == paths
    assert run_in_cell(other, lambda cell: cell.run(lambda: None).code) == 0


def test_cells_of_one_tree_do_not_meet(make_tree, run_in_cell, payloads):
    tree = make_tree()
    if "processes" not in tree.levels:
        pytest.skip("processes are not limited here")

    def body(cell):
        first = cell.start(lambda: payloads.fork_many(100), processes=5)
        found = run_in_cell(tree, lambda other: other.run(lambda: payloads.fork_many(8), processes=10).hits, number=2)
        return cell.finish(first).hits, found

    mine, others = run_in_cell(tree, body) if tree.description[0] == "v1" else (None, None)
    if mine is None:
        mine = run_in_cell(tree, lambda cell: cell.run(lambda: payloads.fork_many(100), processes=5).hits)
        others = run_in_cell(tree, lambda cell: cell.run(lambda: payloads.fork_many(8), processes=10).hits, number=2)
    assert "processes" in mine
    assert others == {}


def test_a_cell_takes_the_number_of_one_that_died(tree, launch_all):
    def die(cell):
        cell.group.prepare({})

    launch_all(die)
    assert launch_all(lambda cell: cell.run(lambda: None).code) == 0


def test_a_tree_whose_owner_was_killed_goes_with_the_next(make_tree, owner_process, groups_of, until):
    make_tree()
    process, description, pid = owner_process()
    paths = groups_of(description)
    assert exist(paths) == paths
    # As long as the owner lives nobody touches it.
    make_tree()
    assert exist(paths) == paths
    assert is_alive(pid)
    os.kill(process.pid, signal.SIGKILL)
    # Dead is dead, even before anybody has waited for it.
    until(lambda: not is_alive(process.pid))
    make_tree()
    assert exist(paths) == []
    until(lambda: not is_alive(pid))


def test_a_name_says_whose_a_tree_is(make_tree, groups_of):
    tree = make_tree()
    for path in groups_of(tree.description):
        assert os.path.basename(path).startswith(f"bldr-{os.getpid()}-")


def test_groups_of_strangers_are_not_touched(make_tree, groups_of):
    """One with the right name in a pid namespace that nobody here can see, and ones with other names."""
    first = make_tree()
    bases = [os.path.dirname(path) for path in groups_of(first.description)]
    own = os.path.basename(groups_of(first.description)[0]).split("-")
    names = ["-".join([own[0], "4194304", own[2], str(int(own[3]) + 1), "0"]), "bldr-", "other-1-2-3-4"]
    made = [f"{base}/{name}" for base in bases for name in names]
    try:
        for path in made:
            os.mkdir(path)
        make_tree()
        assert exist(made) == made
    finally:
        for path in exist(made):
            os.rmdir(path)


def test_a_launcher_that_cannot_enter_its_group_is_an_error(make_tree, tmp_path):
    tree = make_tree()
    if not tree.description[1]:
        pytest.skip("nobody enters a group without cgroup v2")
    host = probe.host(str(tmp_path), None, map_caller=False, limits_processes=True, groups=tree.levels)
    top, tree._unified = tree._unified, str(tmp_path)
    try:
        with pytest.raises(IsolationError, match=f'cannot enter the control group "{tmp_path}/launcher": no such'):
            LinuxLauncher(host, None, tree)
    finally:
        tree._unified = top  # to be removed


def test_no_descriptor_is_left(make_tree, run_in_cell):
    before = sorted(os.listdir("/proc/self/fd"))
    tree = make_tree()

    def body(cell):
        cell.run(lambda: None, memory=64 << 20, processes=5)
        mine = len(os.listdir("/proc/self/fd"))
        for _ in range(50):
            cell.run(lambda: None, memory=64 << 20, processes=5)
        return len(os.listdir("/proc/self/fd")) - mine

    assert run_in_cell(tree, body) == 0
    tree.close()
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_every_limit_is_enforced_or_explained(make_tree):
    tree = make_tree()
    short = [shortfall.guarantee for shortfall in tree.shortfalls]
    assert sorted([*short, *(tree.levels.keys() - {"cpu"})]) == [
        "cpu-share",
        "io",
        "memory",
        "memory-high",
        "processes",
    ]
    assert all(shortfall.why and shortfall.remedy for shortfall in tree.shortfalls)
    assert tree.levels["cpu"] is Level.SUPERVISED
    assert tree.levels.keys() <= set(LIMITS)


def test_without_groups_nothing_is_enforced_and_nothing_fails(run_in_cell):
    tree = no_tree()
    assert tree.levels == {}
    assert len(tree.shortfalls) == 5
    result = run_in_cell(tree, lambda cell: (cell.run(lambda: None, memory=1, processes=1), cell.group.kill()))
    assert result[0].code == 0
    assert result[0].hits == result[0].used == {}
    assert result[1] is False
    tree.close()


def test_who_may_make_no_group_gets_an_empty_tree_that_says_why():
    pid = os.fork() if os.geteuid() == 0 else 0
    if pid:
        _, status = os.waitpid(pid, 0)
        assert status == 0
        return
    if os.geteuid() == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(1234, 1234, 1234)
            os.setresuid(1234, 1234, 1234)
            says_why()
            status = 0
        finally:
            os._exit(status)
    tree = open_tree()
    tree.close()
    if tree.levels:
        pytest.skip("this user may make groups")
    says_why()


def says_why():
    tree = open_tree()
    assert tree.description == ("none", "", (), (), ())
    assert tree.levels == {}
    assert len(tree.shortfalls) == 5
    for shortfall in tree.shortfalls:
        if shortfall.why.startswith("cgroup v1 cannot") or shortfall.why.startswith("cgroup v1 does not"):
            continue
        assert shortfall.why.startswith("cannot make a control group in "), shortfall
        assert shortfall.why.endswith("permission denied"), shortfall
        assert "systemd-run --user --scope -p Delegate=yes" in shortfall.remedy or "root" in shortfall.remedy
    tree.close()


def test_a_machine_without_control_groups(monkeypatch):
    def no_file(path):
        raise FileNotFoundError(2, "No such file or directory", path)

    monkeypatch.setattr(trees.files, "read", no_file)
    tree = open_tree()
    assert tree.levels == {}
    assert {shortfall.why for shortfall in tree.shortfalls} == {"no control groups are mounted"}
    tree.close()


def members(top):
    found = []
    for directory, _, _ in os.walk(top):
        with open(f"{directory}/cgroup.procs") as file:
            found += [int(line) for line in file]
    return found
