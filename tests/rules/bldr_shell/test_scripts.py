"""The scripts that actions run, run as they run them."""

import subprocess

import pytest

from bldr_shell.scripts import ASSEMBLE, RUN_TEST


def sh(directory, script, *words):
    (directory / "script").write_text(script)
    return subprocess.run(["sh", "script", *words], cwd=directory, capture_output=True, text=True)


@pytest.mark.parametrize("text", ["", "echo", "echo\n"])
def test_a_program_that_nothing_runs_is_refused(tmp_path, text):
    (tmp_path / "main").write_text(text)
    done = sh(tmp_path, ASSEMBLE, "main", "program")
    message = "main has no line that says what runs it: begin it with #!/bin/sh\n"
    assert (done.returncode, done.stderr) == (1, message)
    assert not (tmp_path / "program").exists()


def test_the_only_line_of_a_program_needs_no_end(tmp_path):
    (tmp_path / "main").write_text("#!/bin/true")
    assert sh(tmp_path, ASSEMBLE, "main", "program").returncode == 0
    assert (tmp_path / "program").read_text() == "#!/bin/true"


@pytest.mark.parametrize(
    "text",
    [
        "#!/usr/bin/printf <%s>  x\n",
        "#! \t/usr/bin/printf\t<%s> $HOME * \\n \t\nx\n",
        "#!/usr/bin/env printf\nx",
        "#!/bin/echo",
    ],
)
def test_a_test_is_run_as_the_kernel_runs_a_program(tmp_path, text):
    test = tmp_path / "test"
    test.write_text(text)
    test.chmod(0o755)
    direct = subprocess.run(["./test", "a  b", ""], cwd=tmp_path, capture_output=True, text=True)
    assert direct.stdout, direct
    done = sh(tmp_path, RUN_TEST, "test", "a  b", "")
    assert (done.stdout, done.returncode) == (direct.stdout, direct.returncode), done.stderr


@pytest.mark.parametrize("first", ["", "#!", "# no line of this kind"])
def test_a_test_that_nothing_runs_is_run_by_sh(tmp_path, first):
    (tmp_path / "test").write_text(f'{first}\necho "$@"\nexit 3\n')
    done = sh(tmp_path, RUN_TEST, "test", "a")
    assert (done.stdout, done.returncode) == ("a\n", 3), done.stderr
