"""Trees in whatever hierarchy is here, and a cell: a forked process that gives up its rights and runs launches."""

import gc
import os
import pickle
import signal
import sys
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]
else:
    from bldr_linux import syscalls
    from bldr_linux.cgroups.group import CellGroup, enter_leaf
    from bldr_linux.cgroups.tree import open_tree

PATIENCE_S = 60
USER = 65534


class Cell:
    """What a body of code in a cell can do: run payloads in launches, one at a time."""

    def __init__(self, group):
        self.group = group

    def start(self, payload, **limits):
        """Fork a payload as a launch of its own: its pid."""
        fd = self.group.prepare(limits, attendants=0)
        pid, pidfd = syscalls.clone(0) if fd < 0 else syscalls.clone_into(0, fd)
        if pid:
            os.close(pidfd)
            return pid
        try:
            syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
            Path("/proc/self/oom_score_adj").write_text("1000")
            payload()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    def finish(self, pid):
        """Wait for a launch: how it ended, what it met and what it used."""
        _, status = os.waitpid(pid, 0)
        hits = self.group.hits()
        used = self.group.measure()
        self.group.finish()
        return SimpleNamespace(code=os.waitstatus_to_exitcode(status), hits=hits, used=used)

    def run(self, payload, **limits):
        return self.finish(self.start(payload, **limits))


def in_cell(tree, body, *, number=1, owner=None):
    """Run `body(cell)` in a process of its own, in the tree, as the owner of the tree; what it returns."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            enter_leaf(tree.description)
            if owner is not None:
                os.setgroups([])
                os.setresgid(owner[1], owner[1], owner[1])
                os.setresuid(owner[0], owner[0], owner[0])
            group = CellGroup(tree.description, number)
            result = body(Cell(group))
            group.close()
            with open(writing, "wb") as file:
                pickle.dump(result, file)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    try:
        os.close(writing)
        # Not up to the end of the file: a process that the cell left behind has the pipe, too.
        with open(reading, "rb") as file:
            return pickle.load(file)
    except EOFError:
        pytest.fail("the cell failed; see its trace above")
    finally:
        os.waitpid(pid, 0)


@pytest.fixture
def make_tree():
    """Opens trees and closes them; skips where the kernel lets nobody make a group."""
    trees = []

    def make(owner=None):
        tree = open_tree(owner)
        trees.append(tree)
        if tree.description[0] == "none":
            pytest.skip(f"no control group can be made here: {tree.shortfalls[0].why}")
        return tree

    yield make
    for tree in trees:
        tree.close()


@pytest.fixture(params=["caller", "unprivileged"])
def owner(request):
    """Who the cells are: the caller, or for root also an ordinary user."""
    if request.param == "caller":
        return None
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    return (USER, USER)


@pytest.fixture
def tree(make_tree, owner):
    return make_tree(owner)


@pytest.fixture
def launch_all(tree, owner):
    """Runs `body(cell)` in a cell of the tree."""
    return lambda body, **options: in_cell(tree, body, owner=owner, **options)


@pytest.fixture
def needs(tree):
    """Skips where the kernel does not enforce a limit; says why."""

    def check(*limits):
        for limit in limits:
            if limit not in tree.levels:
                why = next((short.why for short in tree.shortfalls if short.guarantee == limit), "it is not counted")
                pytest.skip(f"{limit} is not limited here: {why}")

    return check


@pytest.fixture
def groups_of():
    """The directories of a tree, also after it was closed."""

    def look(description):
        _, unified, _, legacy, _ = description
        return sorted({path for path in (unified, *dict(legacy).values()) if path})

    return look


@pytest.fixture
def until():
    """Waits for something that another process does."""

    def wait(condition):
        deadline = time.monotonic() + PATIENCE_S
        while not (found := condition()):
            assert time.monotonic() < deadline, "what was waited for did not happen"
            time.sleep(0.005)
        return found

    return wait


def touch(mib):
    """Use that much memory, all pages of it."""
    gc.disable()
    block = bytearray(mib << 20)
    for position in range(0, len(block), 4096):
        block[position] = 1
    return block


def fork_many(count):
    """Make that many children that do nothing, then end those that could be made; how many that were."""
    children = []
    try:
        for _ in range(count):
            pid = os.fork()
            if pid == 0:
                signal.pause()
            children.append(pid)
    except BlockingIOError:
        pass
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return len(children)


@pytest.fixture
def payloads():
    return SimpleNamespace(touch=touch, fork_many=fork_many)


@pytest.fixture
def run_in_cell():
    return in_cell
