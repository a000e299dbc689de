"""Patterns against a slow and simple idea of what they mean, and the borders that they never cross."""

import fnmatch
import inspect
import os
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bldr.load.directories import Boundary, Directory
from bldr.load.glob import SourceError, find_file, is_label, is_pattern, match_pattern


def reference(root, pattern):
    """Every file of the tree whose parts match; links to directories are entered but for circles."""

    def matches(parts, steps):
        if not steps:
            return not parts
        if steps[0] == "**":
            if len(steps) == 1:
                return bool(parts) and not any(part.startswith(".") for part in parts)
            skipped = bool(parts) and not parts[0].startswith(".") and matches(parts[1:], steps)
            return matches(parts, steps[1:]) or skipped
        if not parts or (parts[0].startswith(".") and not steps[0].startswith(".")):
            return False
        return fnmatch.fnmatchcase(parts[0], steps[0]) and matches(parts[1:], steps[1:])

    def files(directory, parts, through):
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            if not os.path.isdir(path):
                yield [*parts, name]
                continue
            real = os.path.realpath(path)
            if os.path.islink(path) and real in through:
                continue
            yield from files(path, [*parts, name], [*through, real])

    found = files(root, [], [os.path.realpath(root)])
    return sorted({"/".join(parts) for parts in found if matches(parts, pattern.split("/"))})


directories = st.lists(st.sampled_from(["a", "a", "b", ".a", "ab"]), max_size=3)
names = st.sampled_from(["a", "a.c", "b.c", "a.h", ".b.c", "[x]", "a-b", "ä"])
paths = st.builds(lambda above, name: "/".join([*above, name]), directories, names)
parts = st.sampled_from(
    ["*", "**", "?", "a", "b", "*.c", "*.[ch]", "a*", "[ab]*", "[!a]*", "[a-b].?",
     ".*", ".b*", "*b", "[[]x]", "a?b", "[-a]*", "*ä"]
)  # fmt: skip
patterns = st.lists(parts, min_size=1, max_size=4).map("/".join)


@settings(max_examples=150, deadline=None)
@given(st.lists(paths, max_size=12), patterns)
def test_patterns_mean_what_the_simple_idea_says(tree, pattern):
    with tempfile.TemporaryDirectory() as root:
        for path in tree:
            plant(root, path)
        assert match_pattern(Directory(root), pattern) == reference(root, pattern)


@settings(max_examples=150, deadline=None)
@given(st.lists(paths, max_size=5), st.lists(st.tuples(paths, directories.map("/".join)), max_size=4), patterns)
def test_links_inside_the_package_are_entered_and_circles_end(tree, links, pattern):
    with tempfile.TemporaryDirectory() as root:
        for path in ("a/a/x.c", "b/x.c", *tree):
            plant(root, path)
        for link, target in links:
            place = os.path.join(root, link)
            parent = os.path.dirname(place)
            inside = os.path.join(root, target)
            if os.path.lexists(place) or not os.path.isdir(parent) or not os.path.exists(inside):
                continue
            os.symlink(os.path.relpath(os.path.realpath(inside), os.path.realpath(parent)), place)
        assert match_pattern(Directory(root), pattern) == reference(root, pattern)


def plant(root, path):
    """An empty file, unless something else stands in its way."""
    place = Path(root, path)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    except (FileExistsError, NotADirectoryError):
        return


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab*?[]!-^&|~\\/.{}()+$"), max_size=12))
def test_any_text_is_a_pattern_or_is_refused(text):
    with tempfile.TemporaryDirectory() as root:
        plant(root, "a/b")
        try:
            assert set(match_pattern(Directory(root), text)) <= {"a/b"}
        except SourceError as error:
            assert error.message


def tree(tmp_path, *files):
    for file in files:
        plant(tmp_path, file)
    return Directory(str(tmp_path))


def test_outputs_version_control_and_byte_code_are_never_entered(tmp_path):
    top = tree(tmp_path, "a.c", "bldr-out/a.c", ".git/a.c", "lib/.hg/a.c", "lib/__pycache__/a.c", "lib/a.c", "CVS/a.c")
    assert match_pattern(top, "**/*.c") == ["a.c", "lib/a.c"]
    assert match_pattern(top, "bldr-out/*.c") == []
    assert match_pattern(top, ".git/*") == []


@pytest.mark.parametrize("boundary", list(Boundary))
def test_what_belongs_to_somebody_else_is_not_entered(tmp_path, boundary):
    top = tree(tmp_path, "a.c", "sub/a.c", "sub/deep/a.c")
    top.entries["sub"].boundary = boundary
    assert match_pattern(top, "*/*.c") == []
    assert match_pattern(top, "sub/**") == []
    with pytest.raises(SourceError, match=r'"sub/deep/a.c" is outside the package: "sub" is'):
        find_file(top, "sub/deep/a.c")


@pytest.mark.parametrize("boundary", list(Boundary))
@pytest.mark.usefixtures("links")
def test_links_into_what_belongs_to_somebody_else_leave_the_package(tmp_path, boundary):
    tree(tmp_path, "sub/deep/a.c")
    (tmp_path / "link").symlink_to("sub/deep")
    top = Directory(str(tmp_path))
    top.entries["sub"].boundary = boundary
    with pytest.raises(SourceError, match='matches "link", a link that leaves the package'):
        match_pattern(top, "*/*.c")
    with pytest.raises(SourceError, match='goes through "link", a link that leaves the package'):
        find_file(top, "link/a.c")


def test_wildcards_do_not_match_a_leading_dot(tmp_path):
    top = tree(tmp_path, "a.c", ".a.c", ".conf/a.c", "src/.conf/a.c", "src/.b.c")
    assert match_pattern(top, "**") == match_pattern(top, "**/*.c") == ["a.c"]
    assert match_pattern(top, ".*") == [".a.c"]
    assert match_pattern(top, ".*/*") == [".conf/a.c"]
    assert match_pattern(top, "**/.conf/*") == [".conf/a.c", "src/.conf/a.c"]
    assert match_pattern(top, "**/.*.c") == [".a.c", "src/.b.c"]


@pytest.mark.usefixtures("links")
def test_circles_of_links_end(tmp_path):
    top = tree(tmp_path, "a/x.c", "b/y.c")
    (tmp_path / "a" / "to-b").symlink_to("../b")
    (tmp_path / "b" / "to-a").symlink_to("../a")
    assert match_pattern(top, "**/*.c") == ["a/to-b/y.c", "a/x.c", "b/to-a/x.c", "b/y.c"]


@pytest.mark.usefixtures("links")
def test_links_that_leave_matter_only_where_they_would_be_used(tmp_path):
    top = tree(tmp_path, "a.c", "a.h", "src/b.c")
    (tmp_path / "out.h").symlink_to("/etc/passwd")
    (tmp_path / "usr").symlink_to("/usr")
    (tmp_path / "gone.h").symlink_to("nowhere")
    assert match_pattern(top, "*.c") == ["a.c"]
    assert match_pattern(top, "src/**") == ["src/b.c"]
    assert match_pattern(top, "a*") == ["a.c", "a.h"]
    assert match_pattern(top, "u*") == []
    with pytest.raises(SourceError, match=r'"\*\.h" matches "(out|gone)\.h", a link that'):
        match_pattern(top, "*.h")
    with pytest.raises(SourceError, match='matches "usr", a link that leaves the package'):
        match_pattern(top, "**/*.c")
    with pytest.raises(SourceError, match='matches "usr", a link that leaves the package'):
        match_pattern(top, "usr/*")


@pytest.mark.usefixtures("links")
def test_a_link_may_lead_up_to_the_package_itself(tmp_path):
    top = tree(tmp_path, "a.c", "src/b.c")
    (tmp_path / "src" / "up").symlink_to("..")
    top.boundary = Boundary.PACKAGE
    assert match_pattern(top, "**/*.c") == ["a.c", "src/b.c"]
    assert find_file(top, "src/up/a.c") == "src/up/a.c"
    with pytest.raises(SourceError, match="is a directory"):
        find_file(top, "src/up")


@pytest.mark.usefixtures("links")
def test_links_that_multiply_paths_end_with_a_message(tmp_path):
    names = [f"d{number:02}" for number in range(12)]
    top = tree(tmp_path, *(f"{name}/x.c" for name in names))
    for name in names:
        for other in names:
            (tmp_path / name / f"to-{other}").symlink_to(f"../{other}")
    with pytest.raises(SourceError, match="enters more than 10000 linked directories"):
        match_pattern(top, "**/*.c")


def test_many_stars_take_no_exponential_time(tmp_path):
    top = tree(tmp_path, "/".join(["a"] * 40), *("/".join(["a"] * depth + ["b"]) for depth in range(1, 40)))
    assert match_pattern(top, "/".join(["**", "a"] * 12 + ["**", "c"])) == []
    assert len(match_pattern(top, "/".join(["**"] * 30 + ["b"]))) == 39


def test_a_deep_tree_does_not_exhaust_the_stack(tmp_path):
    path = "d/" * 300 + "x.c"
    top = tree(tmp_path, path)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 60)
    try:
        assert match_pattern(top, "**/*.c") == [path]
        assert find_file(top, path) == path
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.posix("named pipes")
def test_special_files_are_no_sources(tmp_path):
    top = tree(tmp_path, "a.c")
    os.mkfifo(tmp_path / "pipe.c")
    assert match_pattern(top, "*.c") == ["a.c"]
    with pytest.raises(SourceError, match=r'"pipe\.c" is not a regular file'):
        find_file(top, "pipe.c")


@pytest.mark.posix("names that are no text")
def test_names_that_are_not_utf8_are_refused(tmp_path):
    descriptor = os.open(os.fsencode(tmp_path) + b"/a\xff.c", os.O_CREAT | os.O_WRONLY)
    os.close(descriptor)
    with pytest.raises(SourceError, match=r"'a\\udcff\.c' has a name that is not printable text"):
        match_pattern(Directory(str(tmp_path)), "*.c")


@pytest.mark.posix("directories that nobody may read")
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root reads every directory")
def test_a_directory_that_cannot_be_read_is_an_error(tmp_path):
    top = tree(tmp_path, "secret/a.c")
    (tmp_path / "secret").chmod(0)
    try:
        with pytest.raises(SourceError, match='"secret" cannot be read: permission denied'):
            match_pattern(top, "**/*.c")
        with pytest.raises(SourceError, match='"secret" cannot be read: permission denied'):
            find_file(top, "secret/a.c")
    finally:
        (tmp_path / "secret").chmod(0o755)


def test_labels_and_patterns_are_told_from_names():
    assert [text for text in (":a", "//a", "@a//b", "a", "a:b", "*") if is_label(text)] == [":a", "//a", "@a//b"]
    assert [text for text in ("a", "a*", "b?", "[c]", "d]", "{e}") if is_pattern(text)] == ["a*", "b?", "[c]"]
