"""The report of a test, made of what a program of the go command prints."""

import os
import shutil
import subprocess
from xml.etree import ElementTree

import pytest

from bldr_go.harness import RUN_TEST

TESTS = """
package a

import ("fmt"; "os"; "testing")

func TestGood(t *testing.T) { t.Log("fine") }
func TestBad(t *testing.T) {
    t.Run("one", func(t *testing.T) {})
    t.Run("two", func(t *testing.T) { t.Error("a <sum>") })
}
func TestLater(t *testing.T) { t.Skip() }
func TestOpen(t *testing.T) {
    fmt.Print("--- FAIL: TestGood")
    t.Run("line", func(t *testing.T) { fmt.Print("hello"); t.Run("below", func(t *testing.T) { fmt.Print("hey") }) })
    fmt.Print("--- FAIL: TestOpen (0.00s)\\n--- PASS: TestUnknown (0.00s)\\n")
}
func TestEnds(t *testing.T) {
    if os.Getenv("CRASH") != "" {
        panic("nothing goes on")
    }
}
"""


def reported(program, place, **more):
    """The exit code, the cases of the report by name, and what stands in each."""
    env = {
        "PATH": os.defpath,
        "TMPDIR": str(place),
        "XML_OUTPUT_FILE": f"{place}/test.xml",
        "TEST_TARGET": "//a:a",
        **more,
    }
    done = subprocess.run(["sh", "-euc", RUN_TEST, "sh", program], cwd=place, env=env, capture_output=True)
    report = ElementTree.parse(place / "test.xml").getroot()
    cases = {case.get("name"): case for case in report}
    tags = {name: [child.tag for child in case] for name, case in cases.items()}
    assert int(report.get("failures")) == sum("failure" in found for found in tags.values())
    assert int(report.get("skipped")) == sum("skipped" in found for found in tags.values())
    return done.returncode, cases, tags


def test_what_is_said_of_a_test_may_stand_behind_what_it_printed(tmp_path):
    said = """
=== RUN   TestA
hello--- PASS: TestA (0.25s)
=== RUN   TestB
--- FAIL: TestB=== RUN   TestB/one
below    --- PASS: TestB/one (0.00s)
got --- PASS: TestB (0.00s)
--- PASS: TestOfAnother (0.00s)
last--- FAIL: TestB (1.50s)
=== RUN   TestC
FAIL
"""
    (tmp_path / "said.txt").write_text(said)
    (tmp_path / "program").write_text("#!/bin/sh\ncat said.txt; exit 1\n")
    (tmp_path / "program").chmod(0o755)
    code, cases, tags = reported("./program", tmp_path)
    assert (code, tags) == (1, {"TestA": [], "TestB": ["failure"], "TestB/one": [], "TestC": ["failure"]})
    assert cases["TestA"].get("time") == "0.25" and cases["TestB"].get("time") == "1.5"
    failure = cases["TestB"].find("failure")
    assert failure.get("message") == "failed"
    assert failure.text.splitlines() == ["--- FAIL: TestB", "--- PASS: TestOfAnother (0.00s)", "last"]
    assert cases["TestC"].find("failure").get("message") == "did not end"


@pytest.mark.full
@pytest.mark.skipif(shutil.which("go") is None, reason="there is no go here")
def test_every_case_is_reported_also_where_the_program_dies(tmp_path):
    (tmp_path / "a_test.go").write_text(TESTS)
    env = {**os.environ, "GO111MODULE": "off", "GOFLAGS": "", "GOCACHE": str(tmp_path / "cache"), "CGO_ENABLED": "0"}
    subprocess.run(["go", "test", "-c", "-o", "program", "."], cwd=tmp_path, env=env, check=True)

    code, cases, tags = reported("./program", tmp_path)
    expected = {
        "TestGood": [],
        "TestBad": ["failure"],
        "TestBad/one": [],
        "TestBad/two": ["failure"],
        "TestLater": ["skipped"],
        "TestOpen": [],
        "TestOpen/line": [],
        "TestOpen/line/below": [],
        "TestEnds": [],
    }
    assert (code, tags) == (1, expected)
    assert "a <sum>" in cases["TestBad/two"].find("failure").text

    code, cases, tags = reported("./program", tmp_path, CRASH="1")
    assert (code, tags) == (2, {**expected, "TestEnds": ["failure"]})
    assert "nothing goes on" in cases["TestEnds"].find("failure").text
