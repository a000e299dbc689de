"""Who may name a target."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bldr.load.visibility import VisibilityError, parse_visibility

TABLE = [
    ("private", [], ["", "lib", "app"]),
    ("public", ["", "lib", "@lua:", "@lua:src"], []),
    ((), [], ["", "lib"]),
    (("//app",), ["app"], ["", "app/sub", "apps", "@lua:app"]),
    (("//app/...",), ["app", "app/sub", "app/sub/deep"], ["", "apps", "@lua:app"]),
    (("//...",), ["", "app", "app/sub"], ["@lua:", "@lua:app"]),
    (("//",), [""], ["app"]),
    (("@lua//...", "//x"), ["@lua:", "@lua:src", "x"], ["", "src", "@zlib:"]),
    (("@lua//src",), ["@lua:src"], ["src", "@lua:"]),
]


def split(name):
    repository, _, package = name.removeprefix("@").partition(":") if name.startswith("@") else ("", "", name)
    return repository, package


@pytest.mark.parametrize(("value", "seen", "unseen"), TABLE)
def test_decisions(value, seen, unseen):
    visibility = parse_visibility(value)
    assert [name for name in seen + unseen if visibility.includes(*split(name))] == seen


def test_in_an_external_source_packages_are_its_own():
    visibility = parse_visibility(("//src/...",), "lua")
    assert visibility.includes("lua", "src/deep")
    assert not visibility.includes("", "src/deep")


@pytest.mark.parametrize("text", ["lib", ":lib", "//lib:x", "//lib/", "//a b", "//lib...", "...", "", "//../x", "@//x"])
def test_what_is_no_package(text):
    with pytest.raises(VisibilityError):
        parse_visibility((text,))


@given(st.lists(st.text("ab/.:@", max_size=8), max_size=3))
def test_any_list_is_a_visibility_or_is_refused(value):
    try:
        parse_visibility(tuple(value)).includes("", "a")
    except VisibilityError as error:
        assert error.index is not None
        assert value[error.index] in str(error)
