"""Stages: what an action reads is exactly what was asked for, whoever had the directories before."""

import os
import stat
import subprocess

import pytest

from bldr.api import Action, Artifact, Label
from bldr.api.errors import CacheError
from bldr.execute.linktree import tree_of
from bldr.execute.staging import STAMP_NS, Stages, _distance
from bldr.execute.sysroot import Sysroots
from bldr.graph.actions import ActionNode, Permissions
from bldr.plan.entries import Entry
from bldr.store.errors import BlobMissing
from bldr.store.store import open_store

pytestmark = pytest.mark.usefixtures("link_loop")


@pytest.fixture
def store(tmp_path):
    with open_store(str(tmp_path / "cache")) as store:
        yield store


def node(*outputs, files=(), optional=()):
    action = Action(
        argv=("true",),
        inputs=(),
        outputs=tuple(Artifact(output.rstrip("/"), Label("", "", "it"), output.endswith("/")) for output in outputs),
        mnemonic="Test",
        files=files,
    )
    return ActionNode(
        index=0,
        label=Label("", "", "it"),
        action=action,
        handler="",
        toolchains=(),
        env=(),
        permissions=Permissions(),
        deps=(),
        optional_outputs=frozenset(optional),
    )


def entry(store, path, text="", executable=False):
    digest = store.blobs.put_bytes((text or path).encode())
    return Entry(path, digest.hash, digest.size_bytes, executable)


def shown(root):
    """Everything below `root`: path -> text of a file, target of a link, None for a directory."""
    found = {}
    for directory, inside, names in os.walk(root):
        for name in (*inside, *names):
            path = os.path.join(directory, name)
            if os.path.islink(path):
                value = f"-> {os.readlink(path)}"
            elif os.path.isdir(path):
                value = None
            else:
                with open(path) as file:
                    value = file.read()
            found[os.path.relpath(path, root)] = value
    return found


def stamps(root):
    return {os.stat(directory).st_mtime_ns for directory, _, _ in os.walk(root)}


def test_a_tree_holds_inputs_parameter_files_and_the_directories_of_outputs(store):
    stage = Stages(store).take(None)
    inputs = [entry(store, "a/x.c"), entry(store, "a/b/run", executable=True), Entry("a/l", link="x.c"), Entry("empty")]
    stage.fill(
        store, node("out/deep/o", "undeclared/", files=(("args", "-O2\n"),), optional=("undeclared",)), inputs, ()
    )
    lower = stage.tree.lower
    assert shown(lower) == {
        "a": None, "a/b": None, "a/b/run": "a/b/run", "a/l": "-> x.c", "a/x.c": "a/x.c", "args": "-O2\n",
        "empty": None, "out": None, "out/deep": None, "undeclared": None,
    }  # fmt: skip
    assert stat.S_IMODE(os.stat(f"{lower}/a/b/run").st_mode) == 0o555
    assert stat.S_IMODE(os.stat(f"{lower}/a/x.c").st_mode) == 0o444
    assert stamps(lower) == {STAMP_NS}
    assert not os.path.exists(stage.tools)


@pytest.mark.parametrize("kind", ["layers", "links"])
def test_tools_hold_directories_that_are_empty(store, kind):
    stage = Stages(store).take(None, kind)
    stage.fill(
        store, node("o"), (), [entry(store, "kit/run", executable=True), Entry("kit/lib"), Entry("kit/l", link="run")]
    )
    assert shown(stage.tools) == {"kit": None, "kit/l": "-> run", "kit/lib": None, "kit/run": "kit/run"}


def test_the_next_action_sees_its_own_tree_and_nothing_of_the_last(store):
    stages = Stages(store)
    stage = stages.take(None)
    first = [
        entry(store, "a/kept"),
        entry(store, "a/gone"),
        entry(store, "b/changed", "1"),
        entry(store, "file"),
        Entry("l", link="a"),
    ]
    stage.fill(store, node("o/x"), first, [entry(store, "tool", executable=True)])
    kept = os.stat(f"{stage.tree.lower}/a/kept").st_ino
    stages.give_back(stage, may_serve_again=True)
    assert stages.tidy()
    again = stages.take(None)
    assert again is stage
    second = [entry(store, "a/kept"), entry(store, "b/changed", "2"), entry(store, "file/inside"), entry(store, "l")]
    again.fill(store, node("p/q/y"), second, ())
    assert shown(again.tree.lower) == {
        "a": None, "a/kept": "a/kept", "b": None, "b/changed": "2", "file": None, "file/inside": "file/inside",
        "l": "l", "p": None, "p/q": None,
    }  # fmt: skip
    assert os.stat(f"{again.tree.lower}/a/kept").st_ino == kept
    assert stamps(again.tree.lower) == {STAMP_NS}
    assert not os.path.exists(again.tools)


def test_a_directory_that_gets_another_file_keeps_its_time(store):
    stages = Stages(store)
    for inputs in (["a/b/one"], ["a/b/one", "a/b/two"]):
        stage = stages.take(None)
        stage.fill(store, node("o"), [entry(store, path) for path in inputs], ())
        assert stamps(stage.tree.lower) == {STAMP_NS}
        stages.give_back(stage, may_serve_again=True)
        assert stages.tidy()


def test_what_was_written_is_gone_when_the_directories_serve_again(store):
    stages = Stages(store)
    stage = stages.take(None)
    stage.fill(store, node("out"), (), ())
    os.makedirs(f"{stage.tree.upper}/a/b")
    os.chmod(f"{stage.tree.upper}/a", 0)
    os.chmod(stage.tree.upper, 0o777)
    os.makedirs(os.path.join(stage.tree.work, "work", "incompat", "volatile"))
    with open(stage.log, "w") as log:
        log.write("noise")
    stages.give_back(stage, may_serve_again=True)
    assert stages.tidy()
    assert not stages.tidy()
    again = stages.take(None)
    again.fill(store, node("out"), (), ())
    assert os.listdir(again.tree.upper) == os.listdir(again.tree.work) == []
    assert stat.S_IMODE(os.stat(again.tree.upper).st_mode) == 0o755
    assert not os.path.exists(again.log)


def test_a_link_to_a_blob_that_was_replaced_is_made_anew(store):
    stages = Stages(store)
    stage = stages.take(None)
    inputs = [entry(store, "a", "right")]
    stage.fill(store, node("out"), inputs, ())
    stages.give_back(stage, may_serve_again=True)
    stages.tidy()
    place = f"{stage.tree.lower}/a"
    os.unlink(place)
    with open(place, "w") as file:
        file.write("wrong")
    stages.take(None).fill(store, node("out"), inputs, ())
    assert shown(stage.tree.lower) == {"a": "right"}


def test_content_that_the_store_lost_is_missed_also_where_a_link_is_left(store):
    stages = Stages(store)
    stage = stages.take(None)
    inputs = [entry(store, "a", "text")]
    stage.fill(store, node("out"), inputs, ())
    stages.give_back(stage, may_serve_again=True)
    stages.tidy()
    os.unlink(os.path.join(store.root, "blobs", inputs[0].hash[:2], inputs[0].hash[2:]))
    with pytest.raises(BlobMissing):
        stages.take(None).fill(store, node("out"), inputs, ())


def test_a_stage_of_which_somebody_may_hold_a_part_serves_nobody_else(store):
    stages = Stages(store)
    stage = stages.take(None)
    stages.give_back(stage, may_serve_again=False)
    assert stages.tidy()
    assert not os.path.exists(stage.directory)
    assert stages.take(None) is not stage


def test_stages_belong_to_one_owner(store):
    stages = Stages(store)
    stage = stages.take(None)
    stages.give_back(stage, may_serve_again=True)
    stages.tidy()
    assert stages.take((os.getuid(), os.getgid())) is not stage


def test_used_stages_do_not_pile_up_and_closing_removes_all(store):
    stages = Stages(store)
    for _ in range(40):
        stages.give_back(stages.take(None), may_serve_again=True)
    taken = os.listdir(store.staging)
    assert len(taken) < 20
    stages.close()
    assert os.listdir(store.staging) == []


def test_modes_do_not_depend_on_the_umask(store):
    before = os.umask(0o077)
    try:
        stage = Stages(store).take(None)
        stage.fill(store, node("out/o"), [entry(store, "a/b")], ())
    finally:
        os.umask(before)
    for path in (
        stage.directory,
        stage.tree.upper,
        stage.tree.work,
        f"{stage.tree.lower}/a",
        f"{stage.tree.lower}/out",
    ):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o755


@pytest.mark.parametrize("kind", ["layers", "links", "copies"])
def test_a_tree_may_be_empty(store, kind):
    stages = Stages(store)
    for inputs in ((), (entry(store, "a/b"),), ()):
        stage = stages.take(None, kind)
        stage.fill(store, node(), inputs, ())
        assert sorted(shown(stage.tree.lower or stage.tree.upper)) == sorted({"a", "a/b"} if inputs else ())
        if kind != "layers":
            assert stage.is_as_staged()
        stages.give_back(stage, may_serve_again=True)
        assert stages.tidy()
    stages.close()


@pytest.fixture
def full(tmp_path):
    """A store on a disk that a function fills: no name can be made any more, and with False all can again."""
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=300", "tmpfs", mount], check=True)
    made = []

    def fill(*, is_full):
        while is_full:
            path = f"{mount}/{len(made)}"
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL))
            except OSError:
                break
            made.append(path)
        while made and not is_full:
            os.unlink(made.pop())

    try:
        with open_store(str(mount / "cache")) as store:
            yield store, fill
            fill(is_full=False)
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


@pytest.mark.root
@pytest.mark.parametrize("kind", ["layers", "copies", "links"])
def test_a_full_disk_is_told_of_as_the_store_does(full, kind):
    store, fill = full
    inputs = [entry(store, "a/b/in"), Entry("a/link", link="in")]
    stages = Stages(store)
    stage = stages.take(None, kind)
    fill(is_full=True)
    with pytest.raises(CacheError, match=r"cannot stage an action in .*: no space left") as caught:
        stage.fill(store, node("out/x"), inputs, ())
    assert "bldr gc" in caught.value.hint
    with pytest.raises(CacheError, match=r"cannot stage an action in .*: no space left"):
        stages.take(None, kind)
    with pytest.raises(CacheError, match=r"cannot stage toolchains in .*: no space left"):
        Sysroots(store).stage(())
    stage.remove()
    fill(is_full=False)
    stage = stages.take(None, kind)
    stage.fill(store, node("out/x"), inputs, ())
    stage.remove()
    stages.close()
    assert os.listdir(store.staging) == []


def test_the_distance_of_trees_is_what_is_in_one_of_them_only():
    def tree(*paths, directories=()):
        return tree_of({path: Entry(path, "0" * 64) for path in paths}, directories)

    trees = [
        tree(),
        tree("top"),
        tree("top", "a/x", "a/y"),
        tree("a/x", directories=("b",)),
        tree("a/b/x", "b/y"),
        tree("b/y", "b/z", directories=("a/b/c",)),
    ]
    for one in trees:
        for other in trees:
            different = len(set(one.leaves) ^ set(other.leaves)) + 20 * len(one.directories ^ other.directories)
            assert _distance(one, other) == different, (one, other)


def test_a_tree_has_all_directories_that_it_needs():
    leaves = {path: Entry(path, "0" * 64) for path in ("top", "a/b/c/x", "a/y")}
    tree = tree_of(leaves, ("d/e", "a"))
    assert tree.leaves is leaves
    assert tree.directories == {"", "a", "a/b", "a/b/c", "d", "d/e"}
    assert tree.filled == {"", "a", "a/b/c"}
    assert tree_of({}, ()).directories == set()
