"""JavaScript run by a real node in real sandboxes."""

import subprocess

import pytest

from bldr.testing import Edit, HandlerContract
from bldr_javascript.handler import JavaScriptHandler

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("node")]


def targets(language):
    return f"""
        [target.add_{language}]
        type = "library"
        language = "{language}"
        sources = ["add.mjs"]

        [target.app_{language}]
        type = "executable"
        language = "{language}"
        sources = ["app/{language}.mjs"]
        deps = [":add_{language}"]

        [target.test_{language}]
        type = "test"
        language = "{language}"
        sources = ["add.test.mjs"]
        deps = [":add_{language}"]
    """


class TestContract(HandlerContract):
    handler = JavaScriptHandler
    files = {
        "Builderfile": targets("javascript") + targets("typescript"),
        "add.mjs": "export function add(one, other) {\n    return one + other;\n}\n",
        "add.test.mjs": """
            import assert from "node:assert";
            import test from "node:test";
            import { add } from "./add.mjs";

            test("adds", () => assert.equal(add(1, 2), 3));
        """,
        "app/javascript.mjs": 'import { add } from "../add.mjs";\nconsole.log(add(1, 2));\n',
        "app/typescript.mjs": 'import { add } from "../add.mjs";\nconsole.log(add(3, 4));\n',
    }
    edits = [
        Edit(
            file="app/javascript.mjs",
            old="add(1, 2)",
            new="add(2, 2)",
            reruns=("Collect //:app_javascript",),
        ),
        Edit(
            file="add.test.mjs",
            old="add(1, 2), 3",
            new="add(2, 2), 4",
            reruns=("Test //:test_javascript", "Test //:test_typescript"),
        ),
    ]


TESTS = """
import assert from "node:assert";
import test from "node:test";

test("first", () => {});
test("second", () => assert.equal(1, 2));
"""


def test_a_program_finds_its_modules_from_anywhere(project, tmp_path):
    project.write({"Builderfile": f'[workspace]\nname = "w"\n{TestContract.files["Builderfile"]}'})
    project.write({name: text for name, text in TestContract.files.items() if name != "Builderfile"})
    assert project.bldr("build", "--hermetic", "//:app_javascript").exit_code == 0
    link = tmp_path / "link"
    link.symlink_to(project.out("app_javascript"))
    for program in (project.out("app_javascript"), link):
        ran = subprocess.run([program], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert ran.stdout == "3\n"


def test_options_filters_and_shards_reach_node(project):
    project.write(
        {
            "Builderfile": """
                [workspace]
                name = "w"

                [target.some_test]
                type = "test"
                language = "javascript"
                sources = ["one.test.mjs", "two.test.mjs"]
                args = ["--test-concurrency=1"]
            """,
            "one.test.mjs": TESTS,
            "two.test.mjs": TESTS.replace("first", "third").replace("1, 2", "2, 2"),
        }
    )
    ran = project.bldr("test", "--hermetic", "//...")
    assert ran.exit_code == 3 and "second" in ran.output, ran
    ran = project.bldr("test", "--hermetic", "--test-filter", "first|third", "//...")
    assert ran.exit_code == 0, ran
    ran = project.bldr("test", "--hermetic", "--test-arg=--test-name-pattern=third", "//...")
    assert ran.exit_code == 0, ran
