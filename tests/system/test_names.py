"""Names of outputs that Windows would take for something else."""

import os

import pytest

from bldr import system
from bldr.system import names


@pytest.mark.parametrize(
    "path",
    [
        "..\\..\\escaped.txt",
        "C:/x",
        "C:x",
        "deep/NUL",
        "nul.txt",
        "deep/com1 .txt",
        "LPT²",
        "a.txt:stream",
        "deep./file",
        "file ",
        "tab\t",
        "what?",
    ],
)
def test_a_name_that_is_another_file_is_refused(path):
    assert names.path_complaint(path)


@pytest.mark.parametrize("path", ["deep/file.txt", "console", "nully.txt", ".hidden", "a b", "com", "ä"])
def test_ordinary_names_are_taken(path):
    assert not names.path_complaint(path)


def test_two_cases_are_one_file():
    assert names.path_identity("Deep/A.txt") == names.path_identity("deep/a.txt")


def test_nothing_of_it_is_asked_on_posix():
    assert (system.path_complaint is None, system.path_identity is None) == (hasattr(os, "fork"), hasattr(os, "fork"))
