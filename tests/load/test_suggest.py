"""Did you mean: slips of the fingers and abbreviations are understood, and nothing is suggested at random."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bldr.load.suggest import nearest, suggest

KEYS = ["sources", "headers", "deps", "data", "env", "env_inherit", "flags", "link_flags", "visibility"]
KEYS += ["language", "type"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("srcs", "sources"), ("hdrs", "headers"), ("dependencies", "deps"), ("source", "sources"),
        ("suorces", "sources"),
        ("Deps", "deps"), ("flag", "flags"), ("lang", "language"), ("visiblity", "visibility"),
        ("linkflags", "link_flags"),
        ("envinherit", "env_inherit"), ("tpye", "type"), ("quux", None), ("x", None), ("", None), ("outs", None),
    ],
)  # fmt: skip
def test_keys(word, expected):
    assert nearest(word, KEYS) == expected


def test_a_hint_or_nothing():
    assert suggest("mian.c", ["main.c", "util.c"]) == 'did you mean "main.c"?'
    assert suggest("zebra", ["main.c", "util.c"]) == ""
    assert suggest("a", []) == ""


def test_the_nearest_is_taken_and_ties_are_stable():
    assert nearest("liba", ["lib", "libb", "libra"]) == "lib"
    assert nearest("cat", ["car", "bat"]) == nearest("cat", ["bat", "car"]) == "bat"


def edits(word, other):
    """Optimal string alignment, straight from its definition."""
    if not word or not other:
        return len(word) + len(other)
    best = min(edits(word[1:], other), edits(word, other[1:])) + 1
    best = min(best, edits(word[1:], other[1:]) + (word[0] != other[0]))
    if len(word) > 1 and len(other) > 1 and word[0] == other[1] and word[1] == other[0]:
        best = min(best, edits(word[2:], other[2:]) + 1)
    return best


@given(st.text("abc", min_size=1, max_size=6), st.lists(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=5))
def test_no_candidate_is_nearer_than_the_one_that_is_suggested(word, candidates):
    limit = max(1, len(word) // 3)
    near = [other for other in candidates if edits(word, other) <= min(limit, max(len(word), len(other)) - 1)]
    if near:
        assert nearest(word, candidates) == min(near, key=lambda other: (edits(word, other), other))
