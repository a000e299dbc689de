"""The example, built and tested by a real rustc as every handler has to behave."""

import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bldr.testing import Edit, HandlerContract
from bldr_rust.handler import RustHandler

EXAMPLE = Path(__file__).parents[3] / "examples/rust"

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(shutil.which("rustc") is None, reason="there is no rustc here"),
]


class TestContract(HandlerContract):
    handler = RustHandler
    isolation = "require"
    files = {
        str(path.relative_to(EXAMPLE)): path.read_text()
        for path in sorted(EXAMPLE.rglob("*"))
        if path.is_file() and "bldr-out" not in path.parts
    }
    edits = [
        Edit(
            file="words/tests/counting.rs",
            old="nothing_has_no_words",
            new="nothing_at_all_has_no_words",
            reruns=("Rustc //words:counting", "Test //words:counting"),
        ),
        Edit(
            file="app/src/main.rs",
            old="usage: count",
            new="use: count",
            reruns=("Rustc //app:count", "Test //app:count-test"),
        ),
        Edit(  # a build script that reads it, and says the same
            file="words/build.rs",
            old="//! Makes the stop words a table of the crate.",
            new="//! Makes a table of the crate of the stop words.",
            reruns=(
                "BuildScript //words:unit-test",
                "BuildScript //words:words",
                "Rustc //words:unit-test",
                "Rustc //words:words",
                "Rustc //words:unit-test",
                "Rustc //words:words",
            ),
        ),
    ]


def test_a_test_is_chosen_by_its_name_and_a_mistake_is_seen(project):
    project.write(
        {
            "Builderfile": """
                [workspace]
                name = "test"

                [target.some_test]
                type = "test"
                language = "rust"
                sources = ["some_test.rs"]
                shard_count = 2
                """,
            "some_test.rs": """
                #[test]
                fn good() {}

                #[test]
                fn bad() {
                    assert_eq!(1 + 1, 3, "a <sum>");
                }

                #[test]
                #[ignore]
                fn later() {}

                #[test]
                #[should_panic]
                fn panics() {
                    panic!();
                }
                """,
        }
    )
    assert project.bldr("test", "--hermetic", "--test-filter=good", "//...").tests == {"//:some_test": "passed"}
    ran = project.bldr("test", "--hermetic", "//...")
    assert ran.exit_code == 3
    assert "a <sum>" in ran.output, ran
    reports = [ElementTree.parse(path).getroot() for path in project.out("").rglob("test.xml")]
    cases = {case.get("name"): case for report in reports for case in report.iter("testcase")}
    assert {name: [child.tag for child in case] for name, case in cases.items()} == {
        "bad": ["failure"],
        "good": [],
        "later": ["skipped"],
        "panics": [],
    }
    assert "a <sum>" in cases["bad"].find("failure").text

    parts = [line for line in ran.output.splitlines() if line.startswith("test result:")]
    assert "1 failed" in parts[0], ran

    source = project.root / "some_test.rs"
    source.write_text(source.read_text().replace("fn good() {}", "fn good() { undefined(); }"))
    ran = project.bldr("test", "--hermetic", "//...")
    assert ran.exit_code == 1
    assert "some_test.rs:2:" in ran.output and "undefined" in ran.output, ran
