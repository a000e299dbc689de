"""What Windows does with names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bldr_windows.names import clash, complaint, long_path


@pytest.mark.parametrize(
    "name",
    [
        "CON",
        "con",
        "nul",
        "NUL.txt",
        "nul.tar.gz",
        "COM1",
        "com¹",
        "LPT9.c",
        "aux ",
        "prn .h",
        "CONIN$",
        "COM0",
        "nul:x",
    ],
)
def test_names_of_devices_are_refused(name):
    assert complaint(f"src/{name}/a.c").startswith(f'"{name}" is the name of a device')


@pytest.mark.parametrize("name", ["console", "com", "com10", "nul_", "auxiliary.c", "xcon", ".con", "lpt", "a nul"])
def test_names_that_only_look_like_devices_are_not(name):
    assert complaint(f"{name}/{name}.c") == ""


@pytest.mark.parametrize("name", ["a:b", "a?", "a*", "a<b", 'a"', "a|b", "a\\b", "a\x01", "a\n"])
def test_characters_that_no_name_has_are_refused(name):
    assert "which no name on Windows has" in complaint(name)


@pytest.mark.parametrize("name", ["a.", "a ", "a. .", "..."])
def test_ends_that_windows_takes_off_are_refused(name):
    assert "takes off" in complaint(name)


def test_the_rest():
    assert complaint("a//b") == '"" is no name'
    assert complaint("../a") == '".." names a directory by where it is'
    assert complaint("a" * 255) == complaint("😀" * 127) == ""
    assert complaint("a" * 256) and complaint("😀" * 128)
    assert complaint("src/héllo wörld (1).c") == ""


def test_two_names_of_one_file_are_found():
    assert clash(["src/a.c", "src/b.c", "lib/a.c"]) is None
    assert clash(["src/a.c", "src/A.c"]) == ("src/a.c", "src/A.c")
    assert clash(["src/a.c", "SRC/b.c"]) == ("src", "SRC")
    assert clash(["é", "É"]) == ("é", "É")


@pytest.mark.parametrize(
    "path, expected",
    [
        ("C:\\a\\b", "\\\\?\\C:\\a\\b"),
        ("c:/a/b", "\\\\?\\c:\\a\\b"),
        ("\\\\server\\share\\a", "\\\\?\\UNC\\server\\share\\a"),
        ("//server/share", "\\\\?\\UNC\\server\\share"),
        ("\\\\?\\C:\\a", "\\\\?\\C:\\a"),
        ("\\\\.\\pipe\\a", "\\\\.\\pipe\\a"),
        ("a\\b", "a\\b"),
    ],
)
def test_long_paths(path, expected):
    assert long_path(path) == expected


@given(st.text(max_size=20))
def test_a_long_path_is_its_own_long_path(path):
    once = long_path("C:/" + path)
    assert long_path(once) == once
    assert "/" not in once
