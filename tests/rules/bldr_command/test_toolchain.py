"""What is found of this machine's small programs."""

import os
import subprocess

import pytest

from bldr.api import ToolchainError
from bldr_command.toolchain import ShellDetector

ENV = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
ESSENTIAL = ("sh", "cat", "cp", "mkdir", "mv", "rm", "sed", "grep", "awk", "tr", "sort", "head", "test")


@pytest.fixture(scope="module")
def shell():
    return ShellDetector().detect(ENV)


def test_scripts_find_what_they_are_made_of(shell):
    assert {*ESSENTIAL, "find", "tar", "gzip", "diff", "cmp", "xargs", "install", "sha256sum"} <= set(shell.executables)
    assert shell.roots == ()
    links = dict(shell.links)
    place = "/usr/bin/sh" if os.path.islink("/bin") else "/bin/sh"
    assert place in links or place in shell.files


def test_nothing_of_a_program_is_missing(shell):
    """As the machine's own loader sees it: an oracle that does not share our code."""
    names = {name for name, _ in shell.links} | set(shell.files)
    for program in shell.executables.values():
        listed = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
        for line in listed.splitlines():
            path = next((word for word in line.split() if word.startswith("/")), None)
            if path is not None:
                real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
                assert real in names, f"{program} loads {path}"


@pytest.fixture
def bin(tmp_path):
    """A directory with every essential program, as a script."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in ESSENTIAL:
        write(directory / name)
    return directory


def write(path, text="#!/bin/sh\n"):
    path.write_text(text)
    path.chmod(0o755)


def detect(*directories, home="/nonexistent"):
    return ShellDetector().detect({"PATH": ":".join(map(str, directories)), "HOME": str(home)})


def test_what_is_not_there_or_cannot_be_loaded_is_left_out(bin):
    write(bin / "tar", "#!/nonexistent/python\n")
    write(bin / "find")
    assert set(detect(bin).executables) == {*ESSENTIAL, "find"}


def test_what_is_essential_is_missed_by_name(bin):
    (bin / "sed").unlink()
    with pytest.raises(ToolchainError, match='no usable "sed" is on the PATH') as caught:
        detect(bin)
    assert str(bin) in caught.value.hint


def test_the_first_on_path_is_taken_but_not_from_home(bin, tmp_path):
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    write(home / "bin" / "sed", "#!/bin/sh\necho mine\n")
    assert detect(home / "bin", bin).executables["sed"] == str(home / "bin" / "sed")
    assert detect(home / "bin", bin, home=home).executables["sed"] == str(bin / "sed")


def test_the_identity_is_that_of_the_content(bin):
    before = detect(bin)
    os.utime(bin / "sed", (1, 1))
    assert detect(bin).identity == before.identity
    write(bin / "sed", "#!/bin/sh\n# another\n")
    assert detect(bin).identity != before.identity
    assert str(bin) in before.sentinels
