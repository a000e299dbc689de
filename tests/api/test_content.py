"""The identity of host files: every byte and name counts, no clock and no disk does."""

import os

import pytest

from bldr.api.content import content_of


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "root" / "below").mkdir(parents=True)
    (tmp_path / "root" / "a").write_text("a")
    (tmp_path / "root" / "below" / "b").write_bytes(b"b" * 3_000_000)
    (tmp_path / "root" / "link").symlink_to("a")
    (tmp_path / "single").write_text("single")
    return tmp_path


def identity(tree, links=()):
    return content_of([str(tree / "single")], links, [str(tree / "root")]).identity


def test_all_directories_are_told(tree):
    content = content_of([], [], [str(tree / "root")])
    assert sorted(content.directories) == [str(tree / "root"), str(tree / "root" / "below")]


def test_a_copy_in_time_is_the_same(tree):
    before = identity(tree)
    for directory, _, files in os.walk(tree):
        for name in files:
            os.utime(os.path.join(directory, name), (5, 5), follow_symlinks=False)
    assert identity(tree) == before


def test_order_of_mention_does_not_count(tree):
    files = [str(tree / "single"), str(tree / "root" / "a")]
    assert content_of(files).identity == content_of(reversed(files)).identity
    links = [("/a", "b"), ("/c", "d")]
    assert content_of([], links).identity == content_of([], reversed(links)).identity


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: (tree / "single").write_text("Single"),
        lambda tree: (tree / "root" / "a").write_text(""),
        lambda tree: (tree / "root" / "below" / "b").write_bytes(b"b" * 2_999_999 + b"c"),
        lambda tree: (tree / "root" / "a").rename(tree / "root" / "c"),
        lambda tree: (tree / "root" / "a").rename(tree / "root" / "below" / "a"),
        lambda tree: (tree / "root" / "a").chmod(0o755),
        lambda tree: (tree / "root" / "link").unlink(),
        lambda tree: (tree / "root" / "new").symlink_to("a"),
    ],
)
def test_every_difference_counts(tree, change):
    before = identity(tree)
    change(tree)
    assert identity(tree) != before


def test_made_links_count_and_cannot_be_mistaken_for_others(tree):
    assert identity(tree) != identity(tree, [("/a", "b")])
    assert content_of([], [("/a", "bc")]).identity != content_of([], [("/ab", "c")]).identity
    assert content_of([], [("/a", "b"), ("/c", "d")]).identity != content_of([], [("/a", "d"), ("/c", "b")]).identity


def test_what_cannot_be_read_is_an_error(tree):
    with pytest.raises(FileNotFoundError):
        content_of([str(tree / "gone")])
