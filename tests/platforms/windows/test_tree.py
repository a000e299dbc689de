"""Copies of staged trees, and their end."""

import os
import stat

import pytest

from bldr_windows.tree import UnfitTreeError, copy_tree, remove_tree


@pytest.fixture
def staged(tmp_path):
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    (lower / "a/b").mkdir(parents=True)
    upper.mkdir()
    (lower / "a/b/words").write_text("two words\n")
    os.utime(lower / "a/b/words", ns=(1_000_000_000, 2_000_000_000))
    return lower, upper


def test_files_are_copied_with_their_times_and_are_read_only(staged):
    lower, upper = staged
    copy_tree(str(lower), str(upper))
    copied = upper / "a/b/words"
    assert copied.read_text() == "two words\n"
    assert copied.stat().st_mtime_ns == 2_000_000_000
    assert not copied.stat().st_mode & stat.S_IWRITE
    assert (lower / "a/b/words").stat().st_ino != copied.stat().st_ino


def test_read_only_files_are_removed_too(staged):
    lower, upper = staged
    copy_tree(str(lower), str(upper))
    remove_tree(str(upper))
    assert not upper.exists()
    assert lower.exists()


@pytest.mark.posix("names that Windows does not take")
@pytest.mark.parametrize("name", ["nul.h", "a:b", "end.", "back\\slash"])
def test_a_name_that_windows_does_not_take_is_refused(staged, name):
    lower, upper = staged
    (lower / "a" / name).write_text("")
    with pytest.raises(UnfitTreeError, match="the input a/"):
        copy_tree(str(lower), str(upper))


@pytest.mark.posix("names that Windows does not take")
def test_names_that_differ_in_case_alone_are_refused(staged):
    lower, upper = staged
    (lower / "a/b/Words").write_text("")
    with pytest.raises(UnfitTreeError, match="are one file on Windows"):
        copy_tree(str(lower), str(upper))


@pytest.mark.posix("links that everybody may make")
def test_links_are_neither_copied_nor_followed(staged, tmp_path):
    lower, upper = staged
    (lower / "link").symlink_to(tmp_path)
    with pytest.raises(UnfitTreeError, match="the input link cannot be there: is a link"):
        copy_tree(str(lower), str(upper))


@pytest.mark.posix("links that everybody may make")
def test_of_a_link_only_itself_is_removed(tmp_path):
    kept, gone = tmp_path / "kept", tmp_path / "gone"
    kept.mkdir()
    (kept / "file").write_text("")
    gone.mkdir()
    (gone / "link").symlink_to(kept)
    remove_tree(str(gone))
    assert not gone.exists()
    assert (kept / "file").exists()


def test_directories_with_the_attribute_are_removed_too(tmp_path, monkeypatch):
    """Where the system refuses to remove them until it is cleared, as Windows does."""
    gone, real = tmp_path / "gone", os.rmdir
    (gone / "a/b").mkdir(parents=True)
    for path in (gone / "a/b", gone / "a"):
        os.chmod(path, stat.S_IREAD | stat.S_IEXEC)

    def refuse(path):
        if not os.stat(path).st_mode & stat.S_IWRITE:
            raise PermissionError(13, "Access is denied", path)
        os.chmod(os.path.dirname(path), stat.S_IRWXU)  # of which no Windows asks
        real(path)

    monkeypatch.setattr(os, "rmdir", refuse)
    remove_tree(str(gone))
    assert not gone.exists()


@pytest.mark.wine
def test_paths_longer_than_260_characters(tmp_path):
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    upper.mkdir()
    deep = "\\\\?\\" + str(lower)
    os.mkdir(deep)
    for _ in range(4):
        deep += "\\" + "d" * 100
        os.mkdir(deep)
    with open(deep + "\\words", "w") as file:
        file.write("far down")
    copy_tree(str(lower), str(upper))
    with open(deep.replace("lower", "upper") + "\\words") as file:
        assert file.read() == "far down"
    for top in (lower, upper):
        remove_tree(str(top))
        assert not top.exists()
