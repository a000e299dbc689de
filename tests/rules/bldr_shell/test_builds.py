"""Scripts in real sandboxes."""

import os
import shutil
import subprocess

import pytest

from bldr.api import ToolchainError
from bldr.testing import Edit, HandlerContract
from bldr_shell.handler import ShellHandler
from bldr_shell.toolchain import ShellcheckDetector

pytestmark = pytest.mark.full
needs_shellcheck = pytest.mark.skipif(shutil.which("shellcheck") is None, reason="there is no shellcheck here")


class TestContract(HandlerContract):
    handler = ShellHandler
    files = {
        "Builderfile": """
            [target.lib]
            type = "library"
            language = "shell"
            lint = false
            sources = ["lib/lib.sh"]

            [target.app]
            type = "executable"
            language = "shell"
            lint = false
            sources = ["app.sh"]
            data = ["words.txt"]
            deps = [":lib"]

            [target.alone]
            type = "executable"
            language = "shell"
            lint = false
            sources = ["alone.sh"]

            [target.made]
            type = "command"
            outputs = ["made.txt"]
            tools = [":app"]
            command = "app x >$OUT"

            [target.app_test]
            type = "test"
            language = "shell"
            lint = false
            sources = ["app_test.sh"]
            deps = [":app", ":alone"]
            args = ["an argument"]
        """,
        "lib/lib.sh": 'greet() { echo "hello $1"; }\n',
        "words.txt": "words\n",
        "app.sh": '#!/bin/sh\n. "$(dirname "$0")/lib/lib.sh"\ngreet "$1"\ncat "$RUNFILES_DIR/words.txt"\n',
        "alone.sh": "#!/usr/bin/env bash\nwords=(one two)\necho ${#words[@]}\n",
        "app_test.sh": """
            #!/usr/bin/env bash
            set -eu
            lines=($(./alone))
            [[ ${lines[0]} == 2 && $1 == "an argument" ]]
            [[ $("$RUNFILES_DIR/app" you) == *"hello you"* ]]
        """,
    }
    edits = (
        Edit(file="words.txt", old="words", new="more", reruns=(
            "ShellProgram //:app", "Command //:made", "Test //:app_test")),
        Edit(file="lib/lib.sh", old="hello $1", new="well, hello $1", reruns=(
            "ShellProgram //:app", "Command //:made", "Test //:app_test")),
        Edit(file="app_test.sh", old="set -eu", new="set -euo pipefail", reruns=("Test //:app_test",)),
    )  # fmt: skip


def workspace(project, script, **table):
    lines = "".join(f"{name} = {value}\n" for name, value in table.items())
    project.write(
        {
            "Builderfile": '[workspace]\nname = "w"\n[target.x]\ntype = "executable"\nlanguage = "shell"\n'
            f'sources = ["x.sh"]\n{lines}',
            "x.sh": script,
        }
    )
    return project


def test_a_program_runs_from_anywhere_and_by_a_link(project, tmp_path):
    text = '#!/bin/sh\ncat "$(dirname "$0")/words.txt" "$@"\nexit 3\n'
    workspace(project, text, data='["words.txt"]').write({"words.txt": "words\n"})
    ran = project.bldr("build", "--hermetic", "//...")
    assert ran.exit_code == 0, ran
    link = tmp_path / "link"
    os.symlink(project.out("x"), link)
    for argv, place in (([project.out("x")], "/"), ([link], "/"), (["./x"], project.out(""))):
        done = subprocess.run(argv, cwd=place, capture_output=True, text=True)
        assert (done.stdout, done.returncode) == ("words\n", 3), done.stderr


def test_a_program_must_say_what_runs_it(project):
    ran = workspace(project, "echo\n", lint="false").bldr("build", "--hermetic", "//...")
    assert ran.exit_code == 1
    assert "x.sh has no line that says what runs it: begin it with #!/bin/sh" in ran.output


@needs_shellcheck
def test_shellcheck_keeps_a_program_from_being_made(project):
    workspace(project, '#!/bin/sh\nread -r line\ncd "$line"\nls\n', lint="true")
    ran = project.bldr("build", "--hermetic", "//...")
    assert ran.exit_code == 1
    assert "SC2164" in ran.output
    project.write({"x.sh": '#!/bin/sh\nread -r line\ncd "$line" || exit\nls\n'})
    assert project.bldr("build", "--hermetic", "//...").ran == ["ShellCheck //:x", "ShellProgram //:x"]


@needs_shellcheck
def test_the_first_on_path_that_is_nobodys_own_is_found(tmp_path):
    here = shutil.which("shellcheck")
    for directory in ("home/bin", "other", "empty"):
        (tmp_path / directory).mkdir(parents=True)
    for directory in ("home/bin", "other"):
        os.symlink(here, tmp_path / directory / "shellcheck")
    env = {"HOME": str(tmp_path / "home"), "PATH": f"{tmp_path}/home/bin:{tmp_path}/empty:{tmp_path}/other"}
    found = ShellcheckDetector().detect(env)
    assert found.executables == {"shellcheck": os.path.realpath(here)}
    assert f"{tmp_path}/empty" in found.sentinels  # where another one may appear
    with pytest.raises(ToolchainError) as missing:
        ShellcheckDetector().detect({**env, "PATH": f"{tmp_path}/home/bin:{tmp_path}/empty"})
    assert (missing.value.message, missing.value.hint) == (
        "shellcheck is not on the PATH",
        "install it, or write lint = false",
    )
