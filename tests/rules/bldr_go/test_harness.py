"""The report of a test, made of what a program of the go command prints."""

import os
import shutil
import subprocess
from xml.etree import ElementTree

import pytest

from bldr_go.harness import RUN_TEST

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(shutil.which("go") is None, reason="there is no go here"),
]

TESTS = """
package a

import ("os"; "testing")

func TestGood(t *testing.T) { t.Log("fine") }
func TestBad(t *testing.T) {
    t.Run("one", func(t *testing.T) {})
    t.Run("two", func(t *testing.T) { t.Error("a <sum>") })
}
func TestLater(t *testing.T) { t.Skip() }
func TestEnds(t *testing.T) {
    if os.Getenv("CRASH") != "" {
        panic("nothing goes on")
    }
}
"""


def test_every_case_is_reported_also_where_the_program_dies(tmp_path):
    (tmp_path / "a_test.go").write_text(TESTS)
    env = {**os.environ, "GO111MODULE": "off", "GOFLAGS": "", "GOCACHE": str(tmp_path / "cache"), "CGO_ENABLED": "0"}
    subprocess.run(["go", "test", "-c", "-o", "program", "."], cwd=tmp_path, env=env, check=True)

    def run(**more):
        env = {
            "PATH": os.defpath,
            "TMPDIR": str(tmp_path),
            "XML_OUTPUT_FILE": f"{tmp_path}/test.xml",
            "TEST_TARGET": "//a:a",
            **more,
        }
        done = subprocess.run(["sh", "-euc", RUN_TEST, "sh", "./program"], cwd=tmp_path, env=env, capture_output=True)
        report = ElementTree.parse(tmp_path / "test.xml").getroot()
        cases = {case.get("name"): case for case in report}
        return done.returncode, cases, {name: [child.tag for child in case] for name, case in cases.items()}

    code, cases, tags = run()
    expected = {
        "TestGood": [],
        "TestBad": ["failure"],
        "TestBad/one": [],
        "TestBad/two": ["failure"],
        "TestLater": ["skipped"],
        "TestEnds": [],
    }
    assert (code, tags) == (1, expected)
    assert "a <sum>" in cases["TestBad/two"].find("failure").text

    code, cases, tags = run(CRASH="1")
    assert (code, tags) == (2, {**expected, "TestEnds": ["failure"]})
    assert "nothing goes on" in cases["TestEnds"].find("failure").text
