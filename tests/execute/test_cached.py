"""Look-ups of many actions at once: each gets what it would get alone."""

import os

import pytest

from bldr.api.actions import Action, Artifact, Platform
from bldr.api.labels import Label
from bldr.api.sandbox import Level
from bldr.api.spec import ResourceLimits
from bldr.execute.history import History
from bldr.execute.result import ActionResult
from bldr.execute.runners import Cached, Outcome, Work
from bldr.graph.actions import ActionNode, Permissions, TestPart
from bldr.plan.entries import Entry
from bldr.store.store import open_store

STRONG = {"env": Level.KERNEL, "memory": Level.KERNEL}
WEAK = {"env": Level.KERNEL}
LINUX = Platform("linux", "x86_64")


def make_node(index, *, required=(), depfile="", test=None):
    label = Label("", "pkg", f"t{index}")
    action = Action(
        argv=("make", str(index)),
        inputs=(Artifact("pkg/a.c"), Artifact("pkg/a.h")),
        outputs=(Artifact(f"pkg/o{index}", label),),
        mnemonic="Make",
        depfile=depfile,
    )
    return ActionNode(
        index=index,
        label=label,
        action=action,
        handler="h",
        toolchains=(),
        env=(),
        permissions=Permissions(resources=ResourceLimits(required=frozenset(required))),
        deps=(),
        test=test,
    )


def floor(node):
    return dict.fromkeys(("env", *node.permissions.resources.required), Level.SUPERVISED)


class Running:
    """Runs nothing: makes the output that an action declares, with the isolation that is `reached`."""

    def __init__(self, store):
        self.store = store
        self.reached = STRONG
        self.ran = []

    def run(self, work, done):
        self.ran.append((work.node.index, work.reason))
        output = work.node.action.outputs[0].path
        digest = self.store.blobs.put_bytes(output.encode())
        outputs = (Entry(output, digest.hash, digest.size_bytes),)
        reads = ("pkg/a.c",) if work.node.action.depfile else None
        result = ActionResult(status="ok", outputs=outputs, isolation=self.reached, reads=reads)
        done(work, Outcome(result, cached=False))


@pytest.fixture
def store(tmp_path):
    with open_store(str(tmp_path / "cache")) as store:
        yield store


@pytest.fixture
def running(store):
    return Running(store)


@pytest.fixture
def build(store, running):
    """Do nodes together as one more build; gives who ran and why."""

    def once(*nodes, header="22" * 32, reuse_tests="auto"):
        cached = Cached(running, store, History(store, "/ws"), LINUX, floor, reuse_tests=reuse_tests)
        running.ran.clear()
        outcomes = {}
        inputs = (Entry("pkg/a.c", "11" * 32, 1), Entry("pkg/a.h", header, 1))
        cached.run_all([Work(node, inputs, ()) for node in nodes], lambda w, o: outcomes.update({w.node.index: o}))
        assert set(outcomes) == {node.index for node in nodes}
        assert {index for index, outcome in outcomes.items() if not outcome.cached} == {
            index for index, _ in running.ran
        }
        return dict(running.ran)

    return once


def test_what_ran_is_served_the_next_time(build):
    nodes = [make_node(index) for index in range(5)]
    assert build(*nodes[:3]) == dict.fromkeys(range(3), "it never ran before")
    assert build(*nodes) == dict.fromkeys((3, 4), "it never ran before")
    assert build(*nodes) == {}


def test_each_action_has_a_floor_of_its_own(build, running):
    plain, limited = make_node(0), make_node(1, required=("memory",))
    running.reached = WEAK
    build(plain, limited)
    running.reached = STRONG
    assert build(plain, limited) == {1: "the stored result was made with weaker isolation"}
    assert build(plain, limited) == {}


def test_a_lost_blob_is_made_again_and_the_others_are_served(build, store):
    nodes = [make_node(index) for index in range(4)]
    build(*nodes)
    store.flush()
    lost = store.blobs.put_bytes(b"pkg/o2")
    os.unlink(store.blobs.path(lost))
    with open_store(os.path.dirname(store.root)) as other:
        cached = Cached(Running(other), other, History(other, "/ws"), LINUX, floor)
        inputs = (Entry("pkg/a.c", "11" * 32, 1), Entry("pkg/a.h", "22" * 32, 1))
        reasons = {node.index: cached.find(Work(node, inputs, ()))[1] for node in nodes}
    assert reasons == {0: "", 1: "", 2: "files of the stored result are gone from the cache", 3: ""}


def test_only_what_was_read_counts_and_paths_do_too(build):
    nodes = [make_node(0, depfile="pkg/o0.d"), make_node(1)]
    build(*nodes)
    assert build(*nodes, header="33" * 32) == {1: "pkg/a.h changed"}
    assert build(*nodes) == {}


def test_cached_results_of_tests_may_be_unwanted(build):
    nodes = [make_node(0), make_node(1, test=TestPart(stem="pkg/t1.test"))]
    build(*nodes)
    assert build(*nodes) == {}
    assert build(*nodes, reuse_tests="no") == {1: "cached test results are not wanted"}


def test_runs_that_somebody_asked_for_are_no_memories(build):
    nodes = [make_node(1, test=TestPart(stem="pkg/t1.test/run_1_of_2", run=1, runs=2))]
    build(*nodes)
    assert build(*nodes) == {1: "it was asked for several runs"}
    assert build(*nodes, reuse_tests="yes") == {}


def test_a_test_that_always_runs_leaves_nothing_in_the_store(build):
    nodes = [make_node(1, test=TestPart(stem="pkg/t1.test", always="external"))]
    build(*nodes)
    assert build(*nodes, reuse_tests="yes") == {1: 'a test tagged "external" always runs'}
    nodes = [make_node(1, test=TestPart(stem="pkg/t1.test"))]
    assert build(*nodes) == {1: "its last run left no result to use"}
