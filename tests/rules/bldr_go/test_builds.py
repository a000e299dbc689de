"""The example, built and tested by a real Go as every handler has to behave."""

import shutil
from pathlib import Path

import pytest

from bldr.testing import Edit, HandlerContract
from bldr_go.handler import GoHandler

EXAMPLE = Path(__file__).parents[3] / "examples/go"

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(shutil.which("go") is None, reason="there is no go here"),
]


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
