"""Environments of Windows programs."""

import sys

import pytest

from bldr_windows.environment import architecture, block, merged, needed


def test_programs_get_what_they_cannot_do_without():
    variables = needed("D:\\Win", 4, "C:\\scratch")
    assert variables["SYSTEMROOT"] == variables["WINDIR"] == "D:\\Win"
    assert variables["SYSTEMDRIVE"] == "D:"
    assert variables["COMSPEC"] == "D:\\Win\\System32\\cmd.exe"
    assert variables["NUMBER_OF_PROCESSORS"] == "4"
    assert {variables[name] for name in ("TEMP", "TMP", "USERPROFILE", "LOCALAPPDATA")} == {"C:\\scratch"}
    assert "TEMP" not in needed("C:\\Windows", 1, "")


def test_the_processor_is_the_one_that_python_is_made_for():
    assert architecture("3.12.3 (tags/v3.12.3, Apr 9 2024) [MSC v.1938 64 bit (ARM64)]") == "ARM64"
    assert architecture("3.12.3 (tags/v3.12.3, Apr 9 2024) [MSC v.1938 64 bit (AMD64)]") == "AMD64"
    assert needed("C:\\Windows", 1, "")["PROCESSOR_ARCHITECTURE"] == architecture(sys.version)


def test_the_spec_wins_whatever_the_case_of_its_names():
    assert merged({"Temp": "C:\\mine", "A": "1"}, {"TEMP": "C:\\t", "OS": "x"}) == {
        "Temp": "C:\\mine",
        "A": "1",
        "OS": "x",
    }


def test_two_variables_that_are_one_on_windows_are_refused():
    with pytest.raises(ValueError, match="Path and PATH are one"):
        merged({"Path": "a", "PATH": "b"}, {})


def test_a_block_is_in_the_order_of_its_names_and_ends_twice():
    assert block({"b": "2", "A": "1", "_": "", "=C:": "C:\\x"}) == "=C:=C:\\x\0A=1\0b=2\0_=\0\0"
    assert block({}) == "\0"


@pytest.mark.parametrize("name, value", [("", "a"), ("a=b", "c"), ("a", "b\0c"), ("a\0", "")])
def test_what_no_block_holds_is_refused(name, value):
    with pytest.raises(ValueError, match="no environment on Windows"):
        block({name: value})
