"""What is asked of the machine: links, one after the other, and volumes that do not tell upper from lower case."""

import fcntl
import os
import sys

import pytest

from bldr_macos.host import RealHost, Resolved, is_case_insensitive


@pytest.fixture
def here(tmp_path):
    return os.path.realpath(tmp_path)


def test_links_are_followed_and_each_is_named(here):
    os.makedirs(f"{here}/real/deep")
    os.symlink("real", f"{here}/one")
    os.symlink(f"{here}/one/deep", f"{here}/two")
    assert RealHost().resolve(f"{here}/two/x") == Resolved(f"{here}/real/deep/x", (f"{here}/two", f"{here}/one"))
    assert RealHost().resolve(f"{here}/real/deep") == Resolved(f"{here}/real/deep")
    os.symlink("../one/./deep/..", f"{here}/real/up")
    assert RealHost().resolve(f"{here}/real/up").path == f"{here}/real"


def test_what_is_not_there_is_taken_as_written(here):
    assert RealHost().resolve(f"{here}/none/below") == Resolved(f"{here}/none/below")
    assert RealHost().resolve("/") == Resolved("/")


def test_it_agrees_with_the_system(here):
    for path in (here, "/etc/hosts", "/bin/sh", "/usr/bin/env", sys.executable):
        assert RealHost().resolve(path).path == os.path.realpath(path)


def test_links_in_a_circle_are_an_error(here):
    os.symlink("b", f"{here}/a")
    os.symlink("a", f"{here}/b")
    with pytest.raises(OSError, match="too many levels"):
        RealHost().resolve(f"{here}/a/x")


def test_files_are_listed_and_links_by_which_scripts_name_their_interpreter(here):
    os.makedirs(f"{here}/top/sub")
    for name in ("top/file", "top/sub/other"):
        open(f"{here}/{name}", "w").close()
    os.symlink("file", f"{here}/top/link")
    assert RealHost().files_below(f"{here}/top") == ["file", "link", "sub/other"]
    assert RealHost().files_below(f"{here}/top/file") == ("",)
    assert RealHost().files_below(f"{here}/none") == ()


def test_files_are_compared_by_what_they_hold(here):
    for name, content in {"a": b"one", "b": b"one", "c": b"two"}.items():
        with open(f"{here}/{name}", "wb") as file:
            file.write(content)
    os.symlink("b", f"{here}/link")
    os.symlink("none", f"{here}/nowhere")
    found = {name: RealHost().is_copy(f"{here}/{name}", f"{here}/a") for name in ("b", "c", "link", "nowhere", "d", "")}
    assert found == {"b": True, "link": True, "c": False, "nowhere": False, "d": False, "": False}
    assert not RealHost().is_copy(f"{here}/a", f"{here}/nowhere")


def test_names_are_spelled_as_the_volume_spells_them(here, monkeypatch):
    monkeypatch.setattr(fcntl, "F_GETPATH", 50, raising=False)
    names = {f"{here}/out": f"{here}/OUT", f"{here}/linked": f"{here}/another"}

    opened, os_open = {}, os.open

    def remember(path, flags):
        descriptor = os_open(path, flags)
        opened[descriptor] = path
        return descriptor

    def get_path(descriptor, number, buffer):
        path = opened[descriptor]
        return names.get(path, path).encode().ljust(len(buffer), b"\0")

    monkeypatch.setattr(os, "open", remember)
    monkeypatch.setattr(fcntl, "fcntl", get_path)
    os.mkdir(f"{here}/out")
    open(f"{here}/linked", "w").close()
    assert RealHost().resolve(f"{here}/out/none/x").path == f"{here}/OUT/none/x"
    assert RealHost().resolve(f"{here}/out").path == f"{here}/OUT"
    assert RealHost().resolve(f"{here}/linked").path == f"{here}/linked", "a file may have several names"
    assert RealHost().resolve("/").path == "/"


def test_a_volume_is_asked_about_case(here, monkeypatch):
    assert is_case_insensitive(here) is os.path.exists(os.path.join(here.swapcase()))
    assert os.listdir(here) == []
    known = os.path.exists

    def folded(path):
        directory, name = os.path.split(path)
        return known(path) or name.casefold() in (entry.casefold() for entry in os.listdir(directory))

    monkeypatch.setattr(os.path, "exists", folded)
    assert is_case_insensitive(here)


def test_user_directories_are_those_of_macos_and_none_elsewhere():
    found = RealHost().user_directories()
    assert bool(found) is (sys.platform == "darwin")
    assert all(path.startswith("/") and not path.endswith("/") for path in found)
