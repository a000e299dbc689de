"""Trees that are shown themselves: who changes what was staged is found out, and nothing reaches the next action."""

import os
import tempfile

import pytest

from bldr.execute.direct import DirectTree
from bldr.execute.linktree import STAMP_NS, tree_of
from bldr.execute.spares import Spares
from bldr.execute.trash import Trash
from bldr.plan.entries import Entry
from bldr.store.digest import Digest
from bldr.store.errors import BlobMissing
from bldr.store.store import open_store

pytestmark = pytest.mark.usefixtures("link_loop")


@pytest.fixture
def store(tmp_path):
    with open_store(str(tmp_path / "cache")) as store:
        yield store


@pytest.fixture(params=[False, True], ids=["links", "copies"])
def tree(request, tmp_path):
    tree = DirectTree(str(tmp_path / "tree"), None, Trash(str(tmp_path)), Spares(str(tmp_path)), copies=request.param)
    yield tree
    tree.close()


def entry(store, path, text="", executable=False):
    digest = store.blobs.put_bytes((text or path).encode())
    return Entry(path, digest.hash, digest.size_bytes, executable)


def wanted(*entries, directories=()):
    return tree_of({entry.path: entry for entry in entries}, directories)


def fill(store, tree):
    tree.become(
        store,
        wanted(
            entry(store, "a/in"),
            entry(store, "a/b/tool", executable=True),
            Entry("a/link", link="in"),
            entry(store, "top"),
            directories=("out/deep",),
        ),
    )


def names(tree):
    return sorted(
        os.path.relpath(os.path.join(at, name), tree.root)
        for at, inside, files in os.walk(tree.root)
        for name in (*inside, *files)
    )


STAGED = ["a", "a/b", "a/b/tool", "a/in", "a/link", "out", "out/deep", "top"]


def test_it_holds_what_is_wanted_with_fixed_modes_and_times(store, tree):
    before = os.umask(0o077)
    try:
        fill(store, tree)
    finally:
        os.umask(before)
    assert names(tree) == STAGED
    modes = {path: os.lstat(f"{tree.root}/{path}").st_mode & 0o777 for path in ("a", "a/in", "a/b/tool", "out/deep")}
    assert modes == {"a": 0o755, "a/in": 0o444, "a/b/tool": 0o555, "out/deep": 0o755}
    times = {os.lstat(f"{tree.root}/{path}").st_mtime_ns for path in STAGED if path != "a/link"}
    assert times == {STAMP_NS}
    assert tree.is_as_staged()


def test_what_was_added_is_taken_away_and_the_tree_serves_again(store, tree):
    fill(store, tree)
    root = tree.root
    os.makedirs(f"{root}/a/new/deep")
    for path in ("made", "a/.tmp", "a/new/deep/file", "out/deep/o"):
        with open(f"{root}/{path}", "w") as file:
            file.write("x")
    os.symlink("/etc", f"{root}/a/away")
    os.unlink(f"{root}/out/deep/o")
    os.mkdir(f"{root}/closed", 0)
    assert tree.is_as_staged()
    tree.clean()
    assert names(tree) == STAGED
    tree.become(store, wanted(entry(store, "a/in"), entry(store, "other/in")))
    assert names(tree) == ["a", "a/in", "other", "other/in"]
    assert {os.stat(directory).st_mtime_ns for directory, _, _ in os.walk(root)} == {STAMP_NS}
    assert tree.is_as_staged()


def _rewrite(path, data):
    """As the owner of a copy could: the size and every time that can be set are as before."""
    before = os.stat(path)
    os.chmod(path, 0o644)
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, before.st_mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_copy_that_was_changed_and_given_its_times_back_is_found_out(store, tmp_path):
    tree = DirectTree(str(tmp_path / "tree"), None, Trash(str(tmp_path)), Spares(str(tmp_path)), copies=True)
    tree.become(store, wanted(entry(store, "in", "text")))
    _rewrite(f"{tree.root}/in", b"tExt")
    assert not tree.is_as_staged()
    tree.close()


@pytest.fixture
def far_tree(store):
    """A tree of links where no blob can be linked: on another file system."""
    if os.stat("/dev/shm").st_dev == os.stat(store.root).st_dev:
        pytest.skip("there is one file system only")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        tree = DirectTree(f"{elsewhere}/tree", None, Trash(elsewhere), Spares(elsewhere), copies=False)
        yield tree
        tree.close()


def test_a_copy_in_place_of_a_link_that_was_changed_is_found_out(store, far_tree):
    far_tree.become(store, wanted(entry(store, "in", "text"), entry(store, "d/tool", "tool", executable=True)))
    assert far_tree.is_as_staged()
    _rewrite(f"{far_tree.root}/in", b"tExt")
    assert not far_tree.is_untouched("in", os.lstat(f"{far_tree.root}/in"))
    assert not far_tree.is_as_staged()


def test_a_copy_in_place_of_a_link_is_not_made_again(store, far_tree):
    kept = entry(store, "in", "text")
    far_tree.become(store, wanted(kept, entry(store, "d/tool", executable=True)))
    inode = os.stat(f"{far_tree.root}/in").st_ino
    far_tree.become(store, wanted(kept))
    assert os.stat(f"{far_tree.root}/in").st_ino == inode
    assert far_tree.is_as_staged()


def test_a_copy_is_not_the_blob(store, tmp_path):
    tree = DirectTree(str(tmp_path / "tree"), None, Trash(str(tmp_path)), Spares(str(tmp_path)), copies=True)
    one = entry(store, "in", "text")
    tree.become(store, wanted(one))
    _rewrite(f"{tree.root}/in", b"TEXT")
    assert store.blobs.read(Digest(one.hash, one.size_bytes)) == b"text"
    tree.close()


def _replace(path, data="x"):
    os.rename(path, f"{path}.old")
    with open(path, "w") as file:
        file.write(data)


CHANGES = {
    "a file is gone": lambda root: os.unlink(f"{root}/a/in"),
    "a file is another": lambda root: _replace(f"{root}/a/in", "a/in"),
    "a file was moved": lambda root: os.rename(f"{root}/a/in", f"{root}/elsewhere"),
    "a file is a link": lambda root: (os.unlink(f"{root}/top"), os.symlink("a/in", f"{root}/top")),
    "a file is a directory": lambda root: (os.unlink(f"{root}/top"), os.mkdir(f"{root}/top")),
    "two files changed places": lambda root: (
        os.rename(f"{root}/top", f"{root}/x"),
        os.rename(f"{root}/a/in", f"{root}/top"),
        os.rename(f"{root}/x", f"{root}/a/in"),
    ),
    "a link leads elsewhere": lambda root: (os.unlink(f"{root}/a/link"), os.symlink("xx", f"{root}/a/link")),
    "a directory is another": lambda root: (
        os.rename(f"{root}/a", f"{root}/b"),
        os.mkdir(f"{root}/a"),
        os.rename(f"{root}/b/in", f"{root}/a/in"),
        os.rename(f"{root}/b/link", f"{root}/a/link"),
        os.rename(f"{root}/b/b", f"{root}/a/b"),
    ),
    "a directory is a link to itself": lambda root: (
        os.rename(f"{root}/a", f"{root}/b"),
        os.symlink("b", f"{root}/a"),
    ),
    "an empty directory is gone": lambda root: os.rmdir(f"{root}/out/deep"),
    "a directory has another mode": lambda root: os.chmod(f"{root}/out", 0o700),
    "the root has another mode": lambda root: os.chmod(root, 0o1755),
    "a directory has an attribute": lambda root: os.setxattr(f"{root}/out", "user.note", b"for the next one"),
    "the root has an attribute": lambda root: os.setxattr(root, "user.note", b"for the next one"),
    "a directory has grown": lambda root: [open(f"{root}/out/{'n' * 200}{i}", "w").close() for i in range(200)],
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_is_found_out(store, tree, change):
    fill(store, tree)
    CHANGES[change](tree.root)
    if change == "a directory has grown" and os.stat(f"{tree.root}/out").st_size <= 4096:
        pytest.skip("directories of this file system do not show their size")
    assert not tree.is_as_staged()


def test_inode_flags_do_not_reach_the_next_action(store, tree):
    fcntl = pytest.importorskip("fcntl")
    fill(store, tree)
    descriptor = os.open(f"{tree.root}/out", os.O_RDONLY)
    try:
        flags = fcntl.ioctl(descriptor, 0x80086601, bytes(8))
        changed = int.from_bytes(flags[:4], "little") | 0x40  # FS_NODUMP_FL, which any owner may set
        fcntl.ioctl(descriptor, 0x40086602, changed.to_bytes(8, "little"))
    except OSError:
        pytest.skip("no inode flags on this file system")
    finally:
        os.close(descriptor)
    assert not tree.is_as_staged()


def test_what_stays_is_not_staged_again(store, tree):
    kept = [entry(store, f"h/{number}.h") for number in range(200)]
    tree.become(store, wanted(entry(store, "a.c"), *kept))
    inodes = {path: os.stat(f"{tree.root}/h/{path}").st_ino for path in os.listdir(f"{tree.root}/h")}
    assert tree.is_as_staged()
    tree.become(store, wanted(entry(store, "b.c"), *kept))
    assert {path: os.stat(f"{tree.root}/h/{path}").st_ino for path in os.listdir(f"{tree.root}/h")} == inodes
    assert tree.is_as_staged()
    assert sorted(os.listdir(tree.root)) == ["b.c", "h"]


def test_content_that_the_store_lost_is_missed_although_it_is_staged(store, tree):
    one = entry(store, "a", "text")
    tree.become(store, wanted(one))
    os.unlink(os.path.join(store.root, "blobs", one.hash[:2], one.hash[2:]))
    with pytest.raises(BlobMissing):
        tree.become(store, wanted(one))


def test_a_link_to_a_blob_that_was_replaced_is_made_anew(store, tmp_path):
    tree = DirectTree(str(tmp_path / "tree"), None, Trash(str(tmp_path)), Spares(str(tmp_path)), copies=False)
    one = entry(store, "a", "text")
    tree.become(store, wanted(one))
    blob = store.blobs.path(Digest(one.hash, one.size_bytes))
    store.blobs.copy(Digest(one.hash, one.size_bytes), False, f"{blob}.new")
    os.rename(f"{blob}.new", blob)
    tree.become(store, wanted(one))
    assert os.path.samefile(f"{tree.root}/a", blob)
    assert tree.is_as_staged()
    tree.close()


def test_directories_that_nobody_looked_at_have_their_times(store, tree):
    tree.become(store, wanted(entry(store, "a/in"), directories=("b",)))
    tree.become(store, wanted(entry(store, "a/in"), entry(store, "a/new"), Entry("b/link", link="in")))
    assert {os.stat(directory).st_mtime_ns for directory, _, _ in os.walk(tree.root)} == {STAMP_NS}


def test_a_blob_that_was_damaged_is_not_served_from_a_tree(store, tmp_path):
    tree = DirectTree(str(tmp_path / "tree"), None, Trash(str(tmp_path)), Spares(str(tmp_path)), copies=False)
    one = entry(store, "a", "text")
    tree.become(store, wanted(one))
    blob = os.path.join(store.root, "blobs", one.hash[:2], one.hash[2:])
    os.chmod(blob, 0o644)
    with open(blob, "w") as file:
        file.write("tExt")
    with pytest.raises(BlobMissing):
        tree.become(store, wanted(one))
    tree.close()


def test_of_many_files_the_one_that_is_no_link_is_a_copy(store, tmp_path):
    most = os.pathconf(store.root, "PC_LINK_MAX")
    if not 100 < most < 70_000:
        pytest.skip("files of this file system may have more links than can be made here")
    files = [entry(store, f"d/{index}") for index in range(150)]
    blob = store.blobs.path(Digest(files[70].hash, files[70].size_bytes))
    (tmp_path / "many").mkdir()
    for number in range(most - os.stat(blob).st_nlink):
        os.link(blob, tmp_path / "many" / str(number))
    tree = DirectTree(str(tmp_path / "tree"), None, Trash(str(tmp_path)), Spares(str(tmp_path)), copies=False)
    tree.become(store, wanted(*files))
    for number in range(most - 1):
        os.unlink(tmp_path / "many" / str(number))
    assert [name for name in os.listdir(f"{tree.root}/d") if os.stat(f"{tree.root}/d/{name}").st_nlink == 1] == ["70"]
    assert tree.is_as_staged()
    _rewrite(f"{tree.root}/d/70", b"d/71")
    assert not tree.is_as_staged()
    tree.close()


def test_a_directory_that_takes_more_than_a_block_is_as_staged_and_may_not_grow(store, tmp_path):
    files = [entry(store, f"d/{index:03}{'x' * 200}") for index in range(150)]
    tree = DirectTree(str(tmp_path / "tree"), None, Trash(str(tmp_path)), Spares(str(tmp_path)), copies=False)
    tree.become(store, wanted(*files))
    size_bytes = os.stat(f"{tree.root}/d").st_size
    if size_bytes <= 4096:
        pytest.skip("directories of this file system do not grow")
    assert tree.is_as_staged()
    for index in range(150):
        os.mknod(f"{tree.root}/d/more{index}{'y' * 200}")
    assert os.stat(f"{tree.root}/d").st_size > size_bytes
    assert not tree.is_as_staged()
    tree.close()


def test_each_of_many_links_that_is_another_file_is_found_out(store, tmp_path):
    files = [entry(store, f"d/{index}") for index in range(150)]
    for index in (0, 63, 64, 149):
        tree = DirectTree(
            str(tmp_path / f"tree{index}"), None, Trash(str(tmp_path)), Spares(str(tmp_path)), copies=False
        )
        tree.become(store, wanted(*files))
        assert tree.is_as_staged()
        os.rename(f"{tree.root}/d/{index}", f"{tree.root}/d/x")
        assert not tree.is_as_staged()
        os.link(f"{tree.root}/d/x", f"{tree.root}/d/{index}")
        assert tree.is_as_staged()
        os.unlink(f"{tree.root}/d/{index}")
        os.link(f"{tree.root}/d/{index + 1 if index < 149 else 1}", f"{tree.root}/d/{index}")
        assert not tree.is_as_staged()
        tree.close()


def test_a_directory_that_held_much_is_thrown_away_whole(store, tmp_path):
    trash = Trash(str(tmp_path))
    tree = DirectTree(str(tmp_path / "tree"), None, trash, Spares(str(tmp_path)), copies=False)
    many = [entry(store, f"old/deep/{index}") for index in range(60)]
    kept = entry(store, "kept/in")
    tree.become(store, wanted(kept, *many, Entry("old/link", link="deep"), directories=("old/out",)))
    assert tree.is_as_staged()
    tree.become(store, wanted(kept, directories=("new",)))
    assert names(tree) == ["kept", "kept/in", "new"]
    assert tree.is_as_staged()
    assert len(os.listdir(tmp_path / "trash-1" / "deep")) == 60
    tree.become(store, wanted(kept, *many))
    assert len(names(tree)) == 64
    assert tree.is_as_staged()
    assert trash.remove_one()
    assert not trash.remove_one()
    assert sorted(os.listdir(tmp_path)) == ["cache", "tree"]
    tree.close()


def test_as_many_directories_as_were_thrown_away_lie_ready_for_the_next_tree(store, tmp_path):
    spares = Spares(str(tmp_path))
    trees = [DirectTree(str(tmp_path / name), None, Trash(str(tmp_path)), spares, copies=False) for name in ("a", "b")]
    trees[0].become(store, wanted(*[entry(store, f"{top}/{index}") for top in ("x", "y/z") for index in range(60)]))
    assert not spares.make_ahead()
    trees[0].become(store, wanted(entry(store, "in")))
    assert [spares.make_ahead() for _ in range(4)] == [True, True, True, False]
    ready = {path.stat().st_ino for path in tmp_path.glob("spare-*")}
    trees[1].become(store, wanted(entry(store, "p/q/r/in"), entry(store, "p/top")))
    assert {os.stat(f"{trees[1].root}/{path}").st_ino for path in ("p", "p/q", "p/q/r")} == ready
    assert not spares.make_ahead()  # the last tree threw nothing away
    assert trees[1].is_as_staged()
    os.chmod(f"{trees[1].root}/p/q", 0o700)
    assert not trees[1].is_as_staged()
    for tree in trees:
        tree.close()


@pytest.mark.parametrize("copies", [False, True], ids=["links", "copies"])
def test_what_holds_much_goes_whole_and_what_holds_little_is_kept_beside(store, tmp_path, copies):
    trash = Trash(str(tmp_path))
    tree = DirectTree(str(tmp_path / "tree"), None, trash, Spares(str(tmp_path)), copies=copies)
    many = [entry(store, f"{top}/{index}") for top in ("much", "much-more/deep") for index in range(50)]
    few = [entry(store, f"few/{index}") for index in range(3)]
    tree.become(store, wanted(*many, *few))
    tree.become(store, wanted(entry(store, "much"), entry(store, "much-more/in")))
    assert names(tree) == ["much", "much-more", "much-more/in"]
    assert tree.is_as_staged()
    beside = [name for name in os.listdir(tmp_path) if name not in ("cache", "tree")]
    assert sorted(beside) == ["spare-1", "trash-1", "trash-2"]
    assert os.listdir(tmp_path / "spare-1") == []
    tree.become(store, wanted(*many, *few))
    assert len(names(tree)) == 50 + 50 + 3 + 4
    assert tree.is_as_staged()
    tree.close()
