"""Outputs in the workspace: nothing that stands there, and nothing that a record says, leads a write out of it."""

import os

import pytest

from bldr.api.actions import Artifact
from bldr.api.labels import Label
from bldr.execute.materialize import OutputError, Outputs, clean_outputs
from bldr.plan.entries import Entry
from bldr.store.digest import Digest
from bldr.store.errors import BlobMissing
from bldr.store.store import open_store

BIG = b"big" * (1 << 19)
OWNER = Label("", "a", "x")


@pytest.fixture
def store(tmp_path):
    with open_store(str(tmp_path / "cache")) as store:
        yield store


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "ws" / "bldr-out").mkdir(parents=True)
    return tmp_path / "ws"


@pytest.fixture
def victim(tmp_path):
    """A directory of somebody's, with what a build would like to write and to clear."""
    victim = tmp_path / "victim"
    (victim / "b" / "gen").mkdir(parents=True)
    for name in ("precious", "b/f", "b/gen/precious"):
        (victim / name).write_text("precious")
    yield victim
    assert sorted(str(path.relative_to(victim)) for path in victim.rglob("*")) == [
        "b", "b/f", "b/gen", "b/gen/precious", "precious",
    ]  # fmt: skip
    assert {path.read_text() for path in victim.rglob("*") if path.is_file()} == {"precious"}


def write(store, workspace, path, *entries, is_directory=False):
    made = entries or (path,)
    digest = store.blobs.put_bytes(b"made")
    listed = [entry if isinstance(entry, Entry) else Entry(entry, digest.hash, digest.size_bytes) for entry in made]
    Outputs(store, str(workspace)).write([(Artifact(path, OWNER, is_directory), listed)])


def test_a_link_in_place_of_the_folder_is_refused(store, workspace, victim):
    (workspace / "bldr-out").rmdir()
    (workspace / "bldr-out").symlink_to(victim)
    with pytest.raises(OutputError, match="bldr-out is not a directory"):
        write(store, workspace, "b/f")
    with pytest.raises(OutputError, match="bldr-out is not a directory"):
        clean_outputs(str(workspace))


@pytest.mark.parametrize("depth", ["a", "a/b"])
def test_links_above_an_output_are_replaced(store, workspace, victim, depth):
    place = workspace / "bldr-out" / depth
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(victim if depth == "a" else victim / "b")
    write(store, workspace, "a/b/f")
    assert (workspace / "bldr-out/a/b/f").read_text() == "made"
    assert not place.is_symlink()


@pytest.mark.parametrize("depth", ["a", "a/b", "a/b/gen"])
def test_links_at_or_above_an_output_directory_are_replaced(store, workspace, victim, depth):
    place = workspace / "bldr-out" / depth
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(victim / os.path.relpath(depth, "a"))
    write(store, workspace, "a/b/gen", "a/b/gen/new", is_directory=True)
    assert (workspace / "bldr-out/a/b/gen/new").read_text() == "made"
    assert not place.is_symlink()


def test_what_an_output_directory_no_longer_holds_goes(store, workspace, victim):
    write(store, workspace, "gen", "gen/old/x", "gen/kept", is_directory=True)
    (workspace / "bldr-out/gen/link").symlink_to(victim)
    write(store, workspace, "gen", "gen/kept", "gen/new", is_directory=True)
    assert sorted(os.listdir(workspace / "bldr-out/gen")) == ["kept", "new"]


@pytest.mark.parametrize("path", ["gen/../../f", "gen/..", "gen/../../../f", "gen//f", "gen/./f", "gen/x\0y", "gen/"])
def test_places_that_no_collection_made_are_refused(store, workspace, tmp_path, path):
    with pytest.raises(OutputError, match="no place for an output"):
        write(store, workspace, "gen", path, is_directory=True)
    assert not (tmp_path / "f").exists()
    assert not (workspace / "f").exists()


def test_an_absolute_place_is_refused(store, workspace, tmp_path):
    with pytest.raises(OutputError, match="no place for an output"):
        write(store, workspace, "gen", f"{tmp_path}/f", is_directory=True)
    assert not (tmp_path / "f").exists()


def test_a_link_of_a_record_is_no_way_for_its_other_entries(store, workspace, victim):
    link = Entry("gen/b", link=str(victim / "b"))
    write(store, workspace, "gen", "gen/b/f", link, "gen/b/f", "gen/b/gen/new", is_directory=True)
    assert not (victim / "b/gen/new").exists()


def test_what_was_planted_under_the_temporary_name_is_not_written(store, workspace, victim):
    temporary = workspace / f"bldr-out/f.bldr-{os.getpid()}"
    os.link(victim / "precious", temporary)
    write(store, workspace, "f")
    assert (workspace / "bldr-out/f").read_text() == "made"
    assert not temporary.exists()


def test_tidying_follows_no_link(workspace, victim):
    (workspace / "bldr-out/a").symlink_to(victim)
    clean_outputs(str(workspace))
    assert os.listdir(workspace / "bldr-out") == []


def entry_of(store, path, data, *, executable=False):
    digest = store.blobs.put_bytes(data)
    return Entry(path, digest.hash, digest.size_bytes, executable)


def write_all(store, workspace, *entries):
    Outputs(store, str(workspace)).write([(Artifact(entry.path, OWNER), [entry]) for entry in entries])


def seen(workspace):
    top = workspace / "bldr-out"
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


def test_new_directories_hold_everything_below_them(store, workspace):
    (workspace / "bldr-out/old").mkdir()
    contents = {"a/b/c/f": b"1", "a/f": b"2", "a/b/g": b"", "old/new/f": b"3", "old/f": b"4", "f": b"5", "a/b/c/g": BIG}
    write_all(store, workspace, *(entry_of(store, path, data) for path, data in contents.items()))
    assert seen(workspace) == contents
    assert sorted(os.listdir(workspace / "bldr-out")) == ["a", "f", "old"]
    assert sorted(os.listdir(workspace / "bldr-out/old")) == ["f", "new"]


def test_programs_can_be_run_and_files_can_be_changed_by_their_owner(store, workspace):
    before = os.umask(0o022)
    try:
        write_all(store, workspace, entry_of(store, "a/p", b"p", executable=True), entry_of(store, "a/f", b"f"))
        write_all(store, workspace, entry_of(store, "a/q", b"p", executable=True), entry_of(store, "a/g", b"f"))
    finally:
        os.umask(before)
    modes = {name: (workspace / "bldr-out/a" / name).stat().st_mode & 0o777 for name in "pfqg"}
    assert modes == {"p": 0o755, "f": 0o644, "q": 0o755, "g": 0o644}


@pytest.mark.parametrize("path", ["a/f", "f"])
def test_what_stands_there_is_left_alone_and_what_was_changed_is_written_again(store, workspace, path):
    kept, changed = entry_of(store, path, b"kept"), entry_of(store, f"{path}2", b"changed")
    write_all(store, workspace, kept, changed)
    places = [workspace / "bldr-out" / entry.path for entry in (kept, changed)]
    inode = places[0].stat().st_ino
    places[1].write_bytes(b"CHANGED")
    write_all(store, workspace, kept, changed)
    assert places[0].stat().st_ino == inode
    assert places[1].read_bytes() == b"changed"
    places[0].chmod(0o755)
    write_all(store, workspace, kept, changed)
    assert places[0].stat().st_mode & 0o111 == 0


@pytest.mark.parametrize("data", [b"old", BIG])
def test_who_reads_an_old_output_keeps_it_whole(store, workspace, data):
    write_all(store, workspace, entry_of(store, "a/f", data))
    with open(workspace / "bldr-out/a/f", "rb") as reader:
        write_all(store, workspace, entry_of(store, "a/f", b"new" + BIG))
        assert reader.read() == data
    assert (workspace / "bldr-out/a/f").read_bytes() == b"new" + BIG


def test_what_a_killed_process_left_goes_when_directories_are_made(store, workspace, victim):
    left = workspace / "bldr-out/.bldr-work/0"
    left.mkdir(parents=True)
    (left / "half").write_text("half")
    (left / "link").symlink_to(victim)
    write_all(store, workspace, entry_of(store, "a/f", b"1"))
    assert os.listdir(workspace / "bldr-out") == ["a"]


def test_outputs_with_names_like_those_of_half_written_ones_stay(store, workspace):
    write_all(store, workspace, entry_of(store, ".bldr-1", b"1"), entry_of(store, ".bldr-2/f", b"2"))
    write_all(store, workspace, entry_of(store, "fresh/f", b"3"))
    assert sorted(os.listdir(workspace / "bldr-out")) == [".bldr-1", ".bldr-2", "fresh"]


@pytest.mark.parametrize("path", [".lock", ".bldr-work", ".bldr-work/0/f", ".LOCK/f"])
def test_nothing_is_written_where_bldr_works_itself(store, workspace, path):
    with pytest.raises(OutputError, match="is no place for an output"):
        write_all(store, workspace, entry_of(store, path, b"1"))


def test_a_lost_blob_leaves_no_directory_half_written(store, workspace):
    kept, lost = entry_of(store, "a/f", b"kept"), entry_of(store, "b/f", b"lost")
    os.unlink(store.blobs.path(Digest(lost.hash, lost.size_bytes)))
    with pytest.raises(BlobMissing):
        write_all(store, workspace, entry_of(store, "b/e", b"e"), lost, kept)
    assert os.listdir(workspace / "bldr-out") == []


def test_a_deep_directory_is_written_and_what_it_held_before_goes(store, workspace):
    deep = "a/out" + "/d" * 990
    write(store, workspace, "a/out", f"{deep}/old", is_directory=True)
    write(store, workspace, "a/out", f"{deep}/f", is_directory=True)
    assert os.listdir(workspace / "bldr-out" / deep) == ["f"]
    write(store, workspace, "a/out", "a/out/f", is_directory=True)
    assert os.listdir(workspace / "bldr-out/a/out") == ["f"]
