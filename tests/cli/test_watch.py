"""The command line that watching repeats."""

import os

import pytest

from bldr.cli.watch import command_of


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ("build", [])),
        (["//..."], ("build", ["//..."])),
        (["test", "//..."], ("test", ["//..."])),
        (["build", "-k", "//a"], ("build", ["-k", "//a"])),
        (["--clear", "test", "--poll"], ("test", [])),
        (["-j", "2", "test", "//..."], ("test", ["-j", "2", "//..."])),
        (["--cache-dir", "test", "//..."], ("build", ["--cache-dir", "test", "//..."])),
        (["-C", "elsewhere", "--directory=there", "test"], ("test", [])),
        (["//a", "test"], ("build", ["//a", "test"])),
        (["//...", "--", "-//a", "--poll"], ("build", ["//...", "--", "-//a", "--poll"])),
    ],
)
def test_command(words, expected):
    assert command_of(words) == expected


def test_a_system_without_fork_says_so(bldr, workspace, monkeypatch):
    monkeypatch.delattr(os, "fork", raising=False)
    workspace({"Builderfile": '[workspace]\nname = "x"\n'})
    done = bldr("watch")
    assert done.code == 2
    assert "bldr watch cannot work on this system" in done.err
    assert "Traceback" not in done.err
