"""Completion scripts: bash's is run by bash, the others hold every command and option."""

import os
import shutil
import stat
import subprocess

import pytest

from bldr.cli.commands import BUNDLED
from bldr.cli.completion import collect_commands
from bldr.cli.completion_scripts import bash, fish, zsh

LABELS = "//app:main\n//app:unit\n//lib:lib\n@lua//:lua\n"


@pytest.fixture(scope="module")
def commands():
    return collect_commands()


@pytest.fixture
def complete(commands, tmp_path):
    """Complete a line as bash does at a key press, with a `bldr` that knows four targets."""
    script = tmp_path / "bldr.bash"
    script.write_text(bash(commands))
    stub = tmp_path / "bin" / "bldr"
    stub.parent.mkdir()
    stub.write_text(f"#!/bin/sh\ncat <<'end'\n{LABELS}end\n")
    stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "trace.json").touch()
    (tmp_path / "here" / "folder").mkdir()

    def run(line, wordbreaks=" \t\n\"'><=;|&(:"):
        driver = (
            f"source {script}; COMP_WORDBREAKS=$2; COMP_LINE=$1; COMP_POINT=${{#1}}; "
            '_bldr; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(
            ["bash", "--norc", "-uc", driver, "bash", line, wordbreaks],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path / "here",
            env={"PATH": f"{stub.parent}:{os.environ['PATH']}"},
        )
        assert done.stderr == ""
        return done.stdout.split()

    return run


def test_commands(complete):
    assert complete("bldr b") == ["build"]
    assert complete("bldr c") == ["clean", "completion"]
    assert set(BUNDLED) <= set(complete("bldr "))


def test_options_of_the_command(complete):
    assert complete("bldr build --no-h") == ["--no-hermetic"]
    assert complete("bldr build //app:main --jo") == ["--jobs"]
    assert complete("bldr test --jun") == ["--junit"]
    assert complete("bldr build --jun") == []


def test_values_of_options(complete):
    assert complete("bldr build --isolation r") == ["require"]
    assert complete("bldr build --isolation=b") == ["best"]
    assert complete("bldr query --format ") == ["text", "json", "dot"]
    assert complete("bldr build --profile tr") == ["trace.json"]
    assert complete("bldr build -C ") == ["folder"]
    assert complete("bldr completion z") == ["zsh"]


def test_targets(complete):
    assert complete("bldr build //l") == ["//lib:lib"]
    assert complete("bldr build @") == ["@lua//:lua"]
    assert complete("bldr test ") == LABELS.split()
    assert complete("bldr build //app:main //lib:l", wordbreaks=" \t\n") == ["//lib:lib"]


def test_only_the_part_after_a_colon_is_replaced_where_readline_breaks_there(complete):
    assert complete("bldr build //app:") == ["main", "unit"]
    assert complete("bldr build //app:u") == ["unit"]
    assert complete("bldr build //app:u", wordbreaks=" \t\n") == ["//app:unit"]


@pytest.mark.parametrize(("shell", "make"), [("zsh", zsh), ("fish", fish), ("bash", bash)])
def test_every_command_and_option_is_in_every_script(commands, shell, make, bldr):
    script = bldr("completion", shell).out
    assert script == make(commands)
    for command in commands:
        assert command.name in script
        for option in command.options:
            for name in option.names:
                spelt = name.lstrip("-") if shell == "fish" else name
                assert spelt in script


@pytest.mark.parametrize(("shell", "make"), [("zsh", zsh), ("fish", fish), ("bash", bash)])
def test_the_shells_that_are_here_read_their_script(commands, shell, make, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not on this machine")
    script = tmp_path / "script"
    script.write_text(make(commands))
    done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
