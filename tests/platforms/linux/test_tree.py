"""The overlay of an action's tree: what was hashed stays as it is, whatever the action does to what it sees."""

import os
import stat

import msgspec
import pytest

from bldr.api import ProcessPolicy, StagedTree, Temp


@pytest.fixture
def blob(box):
    """A blob of the store and a tree that shows it, by a hard link, at `in`."""
    path = box.directory("blobs", 0o711) / "blob"
    path.write_text("stored")
    path.chmod(0o444)
    os.utime(path, (315532800, 315532800))
    tree = box.tree()
    os.link(path, f"{tree.lower}/in")
    return path, tree


@pytest.mark.parametrize(
    "script",
    [
        "echo changed >> in",
        "echo changed > in",
        "mv in moved",
        "rm -f in",
        "chmod 777 in",
        "touch in",
        "ln in hard && echo changed >> hard",
        "cp in copy && mv copy in",
        "dd if=/dev/zero of=in bs=1 count=1 conv=notrunc",
        "exec 3<>in; echo changed >&3",
        "setfattr -n user.x -v y in",
    ],
)
def test_a_blob_is_never_changed_through_an_input(box, blob, script):
    path, tree = blob
    before = os.lstat(path)
    box.run("sh", "-c", f"({script}) 2>/dev/null; chmod 666 in; ({script}) 2>/dev/null", tree=tree)
    after = os.lstat(path)
    assert path.read_text() == "stored"
    for field in ("st_ino", "st_mode", "st_uid", "st_gid", "st_nlink", "st_size", "st_mtime_ns"):
        assert getattr(after, field) == getattr(before, field), field
    assert os.listdir(tree.lower) == ["in"]


def test_what_was_written_lands_in_the_upper_layer(box):
    tree = box.tree({"in": "input", "dir/kept": "k"})
    ended = box.sh(
        "echo o > out; mkdir new; echo n > new/file; rm -f in; echo t > dir/.tmp; mv dir/.tmp dir/made", tree=tree
    )
    assert ended.exit_code == 0, ended
    names = {
        os.path.relpath(os.path.join(at, name), tree.upper) for at, _, files in os.walk(tree.upper) for name in files
    }
    assert names == {"out", "new/file", "in", "dir/made"}
    whiteout = os.lstat(f"{tree.upper}/in")
    assert stat.S_ISCHR(whiteout.st_mode)
    assert whiteout.st_rdev == 0
    with open(f"{tree.upper}/out") as file:
        assert file.read() == "o\n"
    assert sorted(os.listdir(tree.lower)) == ["dir", "in"]


def test_outputs_belong_to_the_owner_that_the_launcher_names(box):
    tree = box.tree()
    box.sh("echo o > out", tree=tree)
    found = os.lstat(f"{tree.upper}/out")
    assert (found.st_uid, found.st_gid) == (box.launcher.owner or (os.geteuid(), os.getegid()))


def test_each_action_has_a_tree_of_its_own(box):
    trees = [box.tree({"in": str(number)}) for number in range(4)]
    launches = [box.start("sh", "-euc", "sleep 0.05; cat in; ls; echo x > mine-$$", tree=tree) for tree in trees]
    assert [box.wait(launch).out for launch in launches] == [f"{number}in\n" for number in range(4)]


def test_paths_with_characters_that_overlays_treat_specially(box):
    tree = box.tree({"in": "x"})
    odd = os.path.join(os.path.dirname(tree.lower), "a:b,c\\d e")
    os.rename(tree.lower, odd)
    assert box.run("cat", "in", tree=msgspec.structs.replace(tree, lower=odd)).out == "x"


def test_an_upper_directory_that_cannot_be_written_is_named_as_the_cause(box):
    tree = box.tree()
    ended = box.run(
        "true", tree=type(tree)(path="/build", lower=tree.lower, upper=tree.lower + "/none", work=tree.work)
    )
    assert "none" in ended.exit.failure.message
    assert ended.exit.failure.hint


def test_a_tree_that_does_not_exist_is_a_failure(box):
    missing = StagedTree(path="/build", lower="/no/lower", upper="/no/upper", work="/no/work")
    assert "/no/lower" in box.run("true", tree=missing).exit.failure.message


def test_a_temporary_directory_below_the_tree(box):
    tree = box.tree()
    assert (
        box.sh("echo x > scratch/x; ls scratch", tree=tree, temps=(Temp("/build/scratch"), Temp("/tmp"))).out == "x\n"
    )
    assert os.listdir(f"{tree.upper}/scratch") == []


def test_a_tree_that_is_shown_itself(box):
    """Again and again, since a cell keeps what launches have in common."""
    trees = []
    for number in range(3):
        place = box.directory(f"direct/{number}", 0o755, own=True)
        (place / "in").write_text(f"{number}")
        (place / "in").chmod(0o444)
        trees.append(StagedTree(path="/build", lower="", upper=str(place), work=""))
    for number, tree in enumerate(trees):
        ended = box.sh("cat in; echo o > out; ls; pwd", tree=tree)
        assert ended.out.split() == [f"{number}in", "out", "/build"], ended
        assert sorted(os.listdir(tree.upper)) == ["in", "out"]


@pytest.mark.skipif(os.geteuid() != 0, reason="contents belong to another user only where root launches")
@pytest.mark.parametrize(
    "script",
    [
        "echo changed >> in",
        "chmod 777 in",
        "touch in",
        "ln in hard && echo changed >> hard",
        "dd if=/dev/zero of=in bs=1 count=1 conv=notrunc",
        "exec 3<>in; echo changed >&3",
        "setfattr -n user.x -v y in",
        "truncate -s 0 in",
        "chown 0 in",
    ],
)
@pytest.mark.parametrize("uid", [1000, 0])
def test_a_blob_in_a_tree_that_is_shown_itself_is_out_of_reach(box, script, uid):
    blob = box.directory("blobs", 0o711) / "blob"
    blob.write_text("stored")
    blob.chmod(0o444)
    place = box.directory("direct/x", 0o755, own=True)
    os.link(blob, place / "in")
    before = os.lstat(blob)
    tree = StagedTree(path="/build", lower="", upper=str(place), work="")
    process = ProcessPolicy(uid=uid, gid=uid)
    assert box.run("sh", "-euc", f"({script}) 2>/dev/null", tree=tree, process=process).exit_code != 0
    after = os.lstat(blob)
    assert blob.read_text() == "stored"
    for field in ("st_ino", "st_mode", "st_uid", "st_gid", "st_nlink", "st_size", "st_mtime_ns", "st_ctime_ns"):
        assert getattr(after, field) == getattr(before, field), field
