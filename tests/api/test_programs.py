"""Where programs are: directories of PATH and names in them."""

import os

import pytest

from bldr.api import programs


def test_only_absolute_directories_are_looked_into(tmp_path):
    text = os.pathsep.join(["", "bin", str(tmp_path), ".", str(tmp_path / "b")])
    assert programs.directories_of(text) == (str(tmp_path), str(tmp_path / "b"))


@pytest.mark.parametrize(("suffix", "name", "file"), [("", "tool", "tool"), (".exe", "tool", "tool.exe")])
def test_a_program_has_the_suffix_of_its_system(tmp_path, monkeypatch, suffix, name, file):
    monkeypatch.setattr(programs, "EXECUTABLE_SUFFIX", suffix)
    (tmp_path / file).touch(0o755)
    assert programs.program_in(str(tmp_path), name) == str(tmp_path / file)
    assert programs.program_in(str(tmp_path), file) == str(tmp_path / file)
    assert programs.program_in(str(tmp_path), "other") == ""


def test_a_directory_is_no_program(tmp_path):
    (tmp_path / f"tool{programs.EXECUTABLE_SUFFIX}").mkdir()
    assert programs.program_in(str(tmp_path), "tool") == ""


@pytest.mark.posix("execute bits")
def test_a_file_that_nobody_may_execute_is_no_program(tmp_path):
    (tmp_path / "tool").touch(0o644)
    assert programs.program_in(str(tmp_path), "tool") == ""
