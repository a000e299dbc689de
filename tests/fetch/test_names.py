"""Names of members and targets of links: whatever passes the rules stays inside, on the real file system too."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bldr.fetch.names import Claims, HostileArchiveError, check_link, printable, split_name
from bldr.fetch.source import Limits

LIMITS = Limits()


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a/b", ("a", "b")),
        ("./a//b/.", ("a", "b")),
        ("./", ()),
        ("a/", ("a",)),
        ("ä/日本", ("ä", "日本")),
        ("a\\b", ("a\\b",)),
    ],
)
def test_names_that_are_accepted(name: str, parts: tuple[str, ...]) -> None:
    assert split_name(name, LIMITS) == parts


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/etc/passwd", "absolute"),
        ("//a", "absolute"),
        ("..", "climbs"),
        ("a/../b", "climbs"),
        ("a/..", "climbs"),
        ("", "without a name"),
        ("a\nb", "control character"),
        ("a\0b", "control character"),
        ("a\x9bb", "control character"),
        ("a\u2028b", "control character"),
        ("a\udcff", "not UTF-8"),
        ("a/" * 65 + "b", "directories"),
        ("x" * 256, "255 bytes"),
        ("ä" * 128, "255 bytes"),
        (("x" * 200 + "/") * 6, "1024 bytes"),
    ],
)
def test_names_that_are_refused(name: str, why: str) -> None:
    with pytest.raises(HostileArchiveError, match=why) as caught:
        split_name(name, LIMITS)
    assert caught.value.message.isprintable()


@given(st.text(alphabet=st.sampled_from("ab./\\\0\n\udc80é"), max_size=20))
def test_a_name_that_is_accepted_is_normal_and_relative(name: str) -> None:
    try:
        parts = split_name(name, LIMITS)
    except HostileArchiveError:
        return
    path = "/".join(parts)
    assert os.path.normpath("/root/" + path) == ("/root/" + path).rstrip("/")
    assert ".." not in parts
    path.encode()


@given(st.text())
def test_text_from_outside_is_printable_in_messages(text: str) -> None:
    assert printable(text).isprintable()


@pytest.mark.parametrize(
    "names",
    [
        [("a", "file"), ("a", "file")],
        [("a", "link"), ("a", "link")],
        [("a", "file"), ("a/b", "file")],
        [("a/b", "file"), ("a", "file")],
        [("a", "link"), ("a/b", "file")],
        [("a/b", "file"), ("a", "link")],
        [("a", "directory"), ("a", "link")],
        [("Readme", "file"), ("README", "file")],
        [("Src/a", "file"), ("src/b", "file")],
        [("straße", "file"), ("STRASSE", "file")],
        [("\u00e9", "file"), ("e\u0301", "file")],
    ],
)
def test_names_that_meet_are_refused(names: list[tuple[str, str]]) -> None:
    claims = Claims()
    with pytest.raises(HostileArchiveError):
        for name, kind in names:
            claims.claim(tuple(name.split("/")), kind)  # type: ignore[arg-type]


def test_directories_may_be_named_again() -> None:
    claims = Claims()
    for name, kind in [
        ("a/b", "file"),
        ("a", "directory"),
        ("a/c", "directory"),
        ("a/c", "directory"),
        ("a/c/d", "link"),
    ]:
        claims.claim(tuple(name.split("/")), kind)  # type: ignore[arg-type]
    assert claims.kinds[("a", "c")] == "directory"


def test_only_the_root_itself_has_no_name() -> None:
    claims = Claims()
    claims.claim((), "directory")
    with pytest.raises(HostileArchiveError, match="root is not a directory"):
        claims.claim((), "link")


@pytest.mark.parametrize(
    ("links", "why"),
    [
        ({"a": "/etc/passwd"}, "absolute"),
        ({"a": ".."}, "leaves"),
        ({"d/a": "../../x"}, "leaves"),
        ({"a": "missing/../../x"}, "leaves"),
        ({"a": ""}, "empty"),
        ({"a": "x\ny"}, "control"),
        ({"a": "x\udc80"}, "not UTF-8"),
        ({"d/e/up": "..", "a": "d/e/up/../../x"}, "leaves"),
        ({"d/deep": "e/f/g", "a": "d/deep/../../../../../x"}, "leaves"),
    ],
)
def test_links_that_are_refused(links: dict[str, str], why: str) -> None:
    split = {tuple(name.split("/")): target for name, target in links.items()}
    with pytest.raises(HostileArchiveError, match=why):
        for parts, target in split.items():
            check_link(parts, target, split, LIMITS)


def test_links_inside_and_loops_are_accepted() -> None:
    links = {("a",): "b/c", ("b", "x"): "../d", ("l",): "l", ("m",): "n", ("n",): "m", ("gone",): "nowhere/at/all"}
    for parts, target in links.items():
        check_link(parts, target, links, LIMITS)


_PART = st.sampled_from(["a", "b", "c", ".."])
_TARGET = st.lists(_PART, min_size=1, max_size=5).map("/".join)
_LINK = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map(tuple)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(_LINK, _TARGET, max_size=6))
def test_links_that_are_accepted_stay_inside_when_the_kernel_follows_them(links: dict[tuple[str, ...], str]) -> None:
    claims = Claims()
    try:
        for parts in links:
            claims.claim(parts, "link")
        for parts, target in links.items():
            check_link(parts, target, links, LIMITS)
    except HostileArchiveError:
        return
    with tempfile.TemporaryDirectory() as place:
        # The tree stands deep below other directories of the same names, so that an escape would land on something.
        root = Path(place, "a", "b", "c", "root")
        root.mkdir(parents=True)
        for parts, target in links.items():
            path = root.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)
        for parts in links:
            path = root.joinpath(*parts)
            try:
                resolved = path.resolve(strict=True)
            except (OSError, RuntimeError):  # nothing there, or a loop
                continue
            assert resolved.is_relative_to(root.resolve())
