"""Profiles of permissions: golden texts, and what the rules say about nested places."""

import os
from pathlib import Path

import pytest
from seatbelt import Profile

from bldr_macos.profile import Permission, Place, ancestors, make_profile
from bldr_macos.sbpl import NameRefusedError, Param

GOLDEN = Path(__file__).parent / "golden"

TREE = Place((Param("TREE"), Param("TREE_GIVEN")), (Param("ABOVE_0"), "/private/var/cache/v1", "/var/cache/v1"))
PERMISSIONS = {
    "nothing": Permission(),
    "action": Permission(
        reads=(
            Place(("/Library/Developer/CommandLineTools/SDKs/MacOSX14.5.sdk",)),
            Place(("/var/cache/v1/sysroots/1/usr", "/private/var/cache/v1/sysroots/1/usr"), ("/var",)),
        ),
        files=(Place(("/bin/sh",)), Place(("/usr/bin/clang",))),
        own_reads=(Place((Param("INPUT_0"),), (Param("ABOVE_0"),)),),
        own_writes=(Place((Param("TEMP_0"),), (Param("ABOVE_0"), Param("ABOVE_1"))), TREE),
        user_directories=("/private/var/folders/zz/abc/C", "/private/var/folders/zz/abc/T"),
        protected=("/private/var/cache/v1/profiles-1",),
    ),
    "nested": Permission(
        reads=(Place(("/made",)), Place(("/made/out/fixed",))),
        writes=(Place(("/made/out",)), Place(("/made/out/fixed/again",))),
        devices=(Place(("/dev/disk9",)),),
    ),
    "host-network": Permission(network="host"),
    "loopback": Permission(network=("*",)),
    "loopback-ports": Permission(network=("80", "8080")),
    "hostile": Permission(
        reads=tuple(
            Place((f"/Users/me/{name}",))
            for name in ('")(allow default)("', "back\\slash", "new\nline", "😀", "(", "\udcff", ";x", '#"a"')
        )
    ),
}


@pytest.mark.parametrize("name", PERMISSIONS)
def test_profiles_are_as_written_down(name):
    """`BLDR_UPDATE_GOLDEN=1` writes them down anew, to be looked at with `git diff`."""
    text = make_profile(PERMISSIONS[name]).encode(errors="surrogateescape")
    path = GOLDEN / f"{name}.sb"
    if os.environ.get("BLDR_UPDATE_GOLDEN"):
        path.write_bytes(text)
    assert text == path.read_bytes()


@pytest.mark.parametrize("name", PERMISSIONS)
def test_profiles_are_read_and_begin_by_denying_everything(name):
    values = ("TREE", "TREE_GIVEN", "TEMP_0", "INPUT_0", "ABOVE_0", "ABOVE_1")
    profile = Profile(
        make_profile(PERMISSIONS[name]).encode(errors="surrogateescape"), {key: f"/own/{key}" for key in values}
    )
    assert profile.default == "deny"
    assert [form.value for form in profile.forms[:2]] == [("version", 1), ("deny", "default")]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("file-read-data /made/a", "allow"),
        ("file-write-data /made/a", "deny"),
        ("file-write-data /made/out/a", "allow"),
        ("file-write-unlink /made/out/fixed/a", "deny"),
        ("file-read-data /made/out/fixed/a", "allow"),
        ("file-write-create /made/out/fixed/again/a", "allow"),
        ("file-write-data|BLOCK-DEVICE /dev/disk9", "allow"),
        ("file-write-data|BLOCK-DEVICE /dev/disk8", "deny"),
        ("file-link /made/out/a", "deny"),
        ("file-write-setugid /made/out/a", "deny"),
    ],
)
def test_the_nearest_declaration_counts(question, answer):
    assert Profile(make_profile(PERMISSIONS["nested"])).answer(question).action == answer


def test_what_is_protected_is_nobody_s_to_change():
    permission = Permission(writes=(Place(("/cache",)),), protected=("/cache/profiles",))
    profile = Profile(make_profile(permission))
    assert profile.answer("file-write-data /cache/a").action == "allow"
    assert profile.answer("file-write-data /cache/profiles/a").action == "deny"


def test_the_order_of_declarations_does_not_matter():
    places = tuple(Place((f"/a/{name}",)) for name in "edcba")
    assert make_profile(Permission(reads=places)) == make_profile(Permission(reads=places[::-1]))


def test_paths_end_without_a_slash():
    text = make_profile(Permission(reads=(Place(("/",)),)))
    assert '(subpath "/")' in text
    assert '/")' not in text.replace('"/")', "")


def test_names_that_no_file_can_have_are_refused():
    with pytest.raises(NameRefusedError):
        make_profile(Permission(reads=(Place(("/a\0b",)),)))


def test_ancestors_begin_at_the_root():
    assert ancestors("/a/b/c") == ["/", "/a", "/a/b"]
    assert ancestors("/a") == ["/"]
    assert ancestors("/") == []
