"""No name can change a profile, whatever is in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seatbelt import Profile
from seatbelt.reader import FORM_LIMIT_BYTES, read

from bldr_macos.sbpl import (
    FORM_BYTES,
    PATH_BYTES_AT_MOST,
    Form,
    NameRefusedError,
    Param,
    Pattern,
    Text,
    Word,
    call,
    literal,
    print_node,
    print_profile,
    quote,
    regex,
    rules,
    subpath,
    unfiltered,
)

HOSTILE = [
    '"',
    "\\",
    '\\"',
    '")(allow default)("',
    '")\n(allow file-read* (subpath "/"))\n; ',
    "a\nb",
    "a\r\tb",
    "; comment",
    "#| block |#",
    "(((",
    ")))",
    "'quoted",
    "`(unquote x)",
    "#t",
    '#"^/"',
    "😀 café \u202e",
    "e\u0301",
    "\udcff\udc80",
    "\x01\x1b[2J\x7f",
    " leading and trailing ",
    "a" * PATH_BYTES_AT_MOST,
]
names = st.text(st.characters(exclude_characters="\0", exclude_categories=()), max_size=60).filter(
    lambda text: not any("\ud800" <= character < "\udc80" or "\udcff" < character <= "\udfff" for character in text)
)


def value(text):
    """What the reader of the tests makes of one argument."""
    ((found,),) = [form.value for form in read(f"({text})".encode(errors="surrogateescape"))]
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_read_as_what_they_are(name):
    assert value(quote(name)) == name


@given(names)
def test_every_name_is_read_as_what_it_is(name):
    # Bytes that make a character are that character, however they came in.
    same = name.encode(errors="surrogateescape").decode(errors="surrogateescape")
    assert value(quote(name)) == same


@given(st.lists(names, min_size=1, max_size=5))
def test_names_add_no_rule_and_no_filter(found):
    text = print_profile([call("version", Word("1")), unfiltered("deny", "default"), *rules("allow", ("mach-lookup",),
                         [call("global-name", name or "x") for name in found])])  # fmt: skip
    first, second, third = read(text.encode(errors="surrogateescape"))
    assert (first.value, second.value) == (("version", 1), ("deny", "default"))
    assert len(third.value) == 2 + len(found)
    assert all(filter_[0] == "global-name" and len(filter_) == 2 for filter_ in third.value[2:])


@pytest.mark.parametrize("name", ["a\0b", "\0", "\ud800", "x\udc00"])
def test_what_can_be_no_name_is_refused(name):
    with pytest.raises(NameRefusedError):
        quote(name)


def test_a_name_longer_than_any_path_is_refused():
    quote("é" * (PATH_BYTES_AT_MOST // 2))
    with pytest.raises(NameRefusedError, match="longer than 1023 bytes"):
        quote("é" * (PATH_BYTES_AT_MOST // 2 + 1))


def test_nodes_are_printed():
    assert print_node(Form((Word("a"), Text("b"), Pattern(r"^/dev/tty\.$")))) == r'(a "b" #"^/dev/tty\.$")'
    assert print_node(literal("/a b")) == '(literal "/a b")'
    assert print_node(subpath(Param("TREE"))) == '(subpath (param "TREE"))'
    assert print_node(regex("^/x")) == '(regex #"^/x")'
    assert print_node(call("target", Word("same-sandbox"))) == "(target same-sandbox)"


def test_rules_without_filters_and_with_them():
    assert print_profile([unfiltered("allow", "process-fork")]) == "(allow process-fork)\n"
    assert rules("allow", ("file-read*",), []) == (), "what is about nothing is no rule about everything"
    assert print_profile(rules("deny", ("a", "b"), [literal("/c")])) == '(deny a b (literal "/c"))\n'
    two = rules("deny", ("a",), [literal("/c"), subpath("/d")])
    assert print_profile(two) == '(deny a\n    (literal "/c")\n    (subpath "/d"))\n'


@given(st.lists(st.text('ab"\\é', max_size=300), max_size=200), st.integers(200, 5000))
def test_long_rules_are_split_and_lose_nothing(found, most_bytes):
    made = rules("allow", ("file-read*",), [literal(f"/{name}") for name in found], most_bytes)
    printed = [print_profile([form]).encode() for form in made]
    # One filter is never split.
    assert all(len(text.rstrip()) <= most_bytes or text.count(b"literal") == 1 for text in printed)
    filters = [item for form in made for item in form.items if isinstance(item, Form)]
    assert filters == [literal(f"/{name}") for name in found]
    assert all(form.items[:2] == (Word("allow"), Word("file-read*")) for form in made)


def test_sixty_four_kib_of_names_fit():
    paths = [f"/cache/{'x' * 100}/{number:05}" for number in range(1000)]
    made = rules("allow", ("file-read*",), [subpath(path) for path in paths])
    assert 6 < len(made) < 12
    printed = print_profile(made)
    assert all(len(print_profile([form])) <= FORM_BYTES + 100 < FORM_LIMIT_BYTES for form in made)
    profile = Profile(f"(version 1)\n(deny default)\n{printed}")
    assert all(profile.answer(f"file-read-data {path}/f").action == "allow" for path in paths[::100])
