"""Whatever files are called: the printed profile is read as exactly the rules that were meant."""

import os

import machine
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from seatbelt import Profile, Target

from bldr.api import Input
from bldr_macos.sbpl import NameRefusedError

NAMES = st.one_of(
    st.binary(min_size=1, max_size=200).filter(lambda name: not {0, ord("/")} & set(name)).map(os.fsdecode),
    st.text(st.sampled_from("()\";#\\|'`,@ \n\t\rx0\x7f😀é*.:$%{}[]^"), min_size=1, max_size=40),
    st.sampled_from(
        [
            '")(allow default)("',
            '")) (allow default) ; ',
            "#t",
            "(param TREE)",
            '(param "TREE")',
            "\\",
            "\\\\",
            '\\"',
            "\\x22",
            "%s",
            "${HOME}",
            "$(id)",
            "\u202e",
            "e\u0301",
        ]
    ),
).filter(lambda name: name not in (".", ".."))


def printed(names, places=machine.Places()):  # noqa: B008  # frozen
    """The profile for inputs and outputs of these names, and where each of them is."""
    read, source, write = (f"/Users/alice/{top}/{name}" for top, name in zip("abc", names, strict=True))
    host, _ = machine.host(places)
    asked = machine.launch(places, inputs=(Input(read), Input("/data", source)), outputs=(write,))
    text, values = machine.profile_text(asked, host, places)
    return Profile(text.encode(errors="surrogateescape"), values), (read, source, write)


def heads(profile):
    """What the rules are about, one after the other; a long list of paths may be in several rules of one kind."""
    found = []
    for rule in profile.rules:
        head = (rule.action, rule.operations)
        if not found or found[-1] != head:
            found.append(head)
    return found


def allows(profile, operation, path):
    answers = {profile.decide(operation, Target(path=name)).action for name in (path, f"{path}/below")}
    assert len(answers) == 1
    return answers == {"allow"}


TAME, _ = printed(("x", "y", "z"))


@settings(deadline=None)
@given(st.tuples(NAMES, NAMES, NAMES))
@example(('a")(allow default)("', "\\", '"'))
def test_paths_of_inputs_and_outputs_are_meant_and_nothing_else(names):
    profile, (read, source, write) = printed(names)
    assert heads(profile) == heads(TAME)
    assert sum(len(rule.filters) for rule in profile.rules) == sum(len(rule.filters) for rule in TAME.rules)
    assert allows(profile, "file-read-data", read)
    assert not allows(profile, "file-write-data", read)
    assert allows(profile, "file-read-data", source)
    assert not allows(profile, "file-write-create", source)
    assert allows(profile, "file-read-data", write)
    assert allows(profile, "file-write-data", write)
    for path in (read, source, write):
        above, _, name = path.rpartition("/")
        siblings = [
            f"{path}x",
            f"{above}/x{name}",
            f"{above}/{name[:-1]}",
            f"{above}/{name[1:]}",
            f"{above}/{name * 2}",
        ]
        if "\\" in name:
            siblings.append(f"{above}/" + name.replace("\\", ""))
        for sibling in (sibling for sibling in siblings if not sibling.endswith("/")):
            assert not allows(profile, "file-read-data", sibling)
            assert not allows(profile, "file-write-data", sibling)


@settings(deadline=None)
@given(NAMES)
def test_places_of_the_cache_are_meant_and_nothing_else(name):
    """The cache's own place: it stands in parameters, and in rules for what is shared."""
    places = machine.Places(root=f"/Users/alice/{name}/v1")
    host, _ = machine.host(places)
    text, values = machine.profile_text(machine.launch(places, staged=("/usr/bin/x",)), host, places)
    profile = Profile(text.encode(errors="surrogateescape"), values)
    names = places.names
    for path, reads, writes in (
        (names["TREE"] + "/a", True, True),
        (names["TMP"] + "/a", True, True),
        (names["TOOLS"] + "/a", True, False),
        (names["SYSROOT"] + "/usr/bin/x", True, False),
        (names["PLACE"] + "/a", False, False),
        (names["ROOT"] + "/blobs/a", False, False),
        (f"/Users/alice/x{name}/v1/staging/4711/9/upper/a", False, False),
        (f"/Users/alice/{name}x/v1/staging/4711/9/upper/a", False, False),
    ):
        assert allows(profile, "file-read-data", path) is reads, path
        assert allows(profile, "file-write-data", path) is writes, path


@given(st.integers(0, 40), st.lists(NAMES, max_size=40, unique=True))
@settings(deadline=None, max_examples=20)
def test_many_paths_are_each_meant(count, names):
    """More than one form may hold."""
    places = machine.Places()
    host, _ = machine.host(places)
    inputs = [f"/Users/alice/{number}-{'long' * 60}/{name}" for number, name in enumerate(names)]
    inputs += [f"/opt/{'x' * 250}/{'y' * 250}/{'z' * 250}/{number}" for number in range(count * 5)]
    text, values = machine.profile_text(machine.launch(places, inputs=tuple(map(Input, inputs))), host, places)
    profile = Profile(text.encode(errors="surrogateescape"), values)
    assert max(form.end - form.start for form in profile.forms) <= 20 << 10
    assert all(allows(profile, "file-read-data", path) for path in inputs)
    assert not any(allows(profile, "file-read-data", f"{path}x") for path in inputs if f"{path}x" not in inputs)


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 1100])
def test_names_that_no_file_of_a_mac_can_have_are_refused(name):
    with pytest.raises(NameRefusedError):
        printed((name, "y", "z"))
