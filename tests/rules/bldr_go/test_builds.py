"""The example, built and tested by a real Go as every handler has to behave."""

import shutil
from pathlib import Path

import pytest

from bldr.testing import Edit, HandlerContract
from bldr_go.handler import GoHandler

EXAMPLE = Path(__file__).parents[3] / "examples/go"
WITHOUT_GO = pytest.mark.skipif(shutil.which("go") is None, reason="there is no go here")

pytestmark = [pytest.mark.full, WITHOUT_GO]


class TestContract(HandlerContract):
    handler = GoHandler
    isolation = "require"
    files = {
        str(path.relative_to(EXAMPLE)): path.read_text()
        for path in sorted(EXAMPLE.rglob("*"))
        if path.is_file() and "bldr-out" not in path.parts
    }
    edits = [
        Edit(  # what is inside a function concerns no compilation but its own
            file="words/words.go",
            old="var words []string",
            new="words := []string{}",
            reruns=(
                "GoCompile //words:words",
                "GoLink //app:count",
                "GoTestCompile //words:words-test",
                "GoLink //words:words-test",
                "Test //words:words-test",
                "Test //app:count-test",
            ),
        ),
        Edit(
            file="words/inside_test.go",
            old='" a\\tb\\nc "',
            new='" a\\tb\\nd "',
            reruns=("GoTestCompile //words:words-test", "GoLink //words:words-test", "Test //words:words-test"),
        ),
        Edit(
            file="words/testdata/rain.txt",
            old="The rain",
            new="No rain",
            reruns=("Test //words:words-test",),
        ),
    ]


def test_what_the_compiler_says_is_seen_and_names_the_line(project):
    project.write(
        {
            "Builderfile": """
                [workspace]
                name = "test"

                [target.go-std]
                type = "stdlib"
                language = "go"
                packages = ["fmt"]

                [target.app]
                type = "executable"
                language = "go"
                sources = ["main.go"]
                """,
            "main.go": "package main\n\nfunc main() {\n\tvar unused int\n}\n",
        }
    )
    ran = project.bldr("build", "--hermetic", "//:app")
    assert ran.exit_code == 1
    assert "main.go:4:6" in ran.output and "unused" in ran.output, ran
