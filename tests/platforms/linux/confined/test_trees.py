"""Copies that may be written to, and the removal of whatever an action left."""

import os
import stat

import pytest

from bldr_linux.confined import trees


def test_copies_are_writable_and_as_old_as_what_they_copy(tmp_path):
    source, copy = tmp_path / "source", tmp_path / "copy"
    (source / "sub").mkdir(parents=True)
    copy.mkdir()
    for name, mode in (("plain", 0o444), ("sub/program", 0o555)):
        (source / name).write_text(name)
        (source / name).chmod(mode)
        os.utime(source / name, ns=(10**18, 10**18))
    (source / "sub/link").symlink_to("../plain")
    (source / "dangling").symlink_to("/nowhere")
    trees.copy(str(source), str(copy))
    modes = {name: stat.S_IMODE((copy / name).stat().st_mode) for name in ("plain", "sub/program")}
    assert modes == {"plain": 0o644, "sub/program": 0o755}
    assert (copy / "plain").stat().st_mtime_ns == 10**18
    assert os.readlink(copy / "sub/link") == "../plain"
    assert os.readlink(copy / "dangling") == "/nowhere"
    (copy / "plain").write_text("changed")
    assert (source / "plain").read_text() == "plain"


def test_removal_follows_no_link_and_stops_at_no_mode(tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("kept")
    left = tmp_path / "left"
    (left / "closed/inner").mkdir(parents=True)
    (left / "closed/inner/file").write_text("x")
    (left / "link").symlink_to(victim)
    (left / ".1").mkdir()
    (left / ".2").write_text("a name that removal itself likes")
    os.mkfifo(left / "pipe")
    (left / "closed/inner").chmod(0)
    (left / "closed").chmod(0)
    left.chmod(0)
    trees.remove(str(left))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["victim"]
    assert (victim / "file").read_text() == "kept"


def test_removal_of_what_is_deeper_than_any_path(tmp_path):
    left = tmp_path / "left"
    left.mkdir()
    directory = os.open(left, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=directory)
        inner = os.open("d", os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = inner
    os.close(directory)
    trees.remove(str(left))
    assert not left.exists()


def test_a_link_is_no_directory_to_remove(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(OSError, match="link"):
        trees.remove(str(tmp_path / "link"))
    assert (tmp_path / "real").exists()
