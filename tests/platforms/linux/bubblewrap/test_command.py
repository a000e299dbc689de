"""The names under which the stand-in runs: a link, `bldr sandbox`, and what messages look like."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bldr_linux
from bldr_linux.bubblewrap import again


def bldr(*words, cwd):
    return subprocess.run(
        [sys.executable, "-c", "from bldr.cli.main import run_process; run_process()", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


def test_bldr_sandbox_takes_all_words_as_they_are(bwrap, tmp_path):
    ran = bldr("sandbox", "--ro-bind", "/", "/", "ls", "-d", "-1", "--", "/usr", cwd=tmp_path)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("/usr\n", "", 0)


def test_bldr_sandbox_without_options_ends_at_the_command(bwrap, tmp_path):
    ran = bldr("sandbox", "--", "true", cwd=tmp_path)
    assert (ran.stderr, ran.returncode) == ("bldr sandbox: execvp true: No such file or directory\n", 1)


def test_bldr_sandbox_names_itself(tmp_path):
    ran = bldr("sandbox", "--nonsense", cwd=tmp_path)
    assert (ran.stderr, ran.returncode) == ("bldr sandbox: Unknown option --nonsense\n", 1)
    for words in (["sandbox", "--help"], ["help", "sandbox"]):
        assert bldr(*words, cwd=tmp_path).stdout.startswith("usage: bldr sandbox [OPTIONS...] [--] COMMAND [ARGS...]\n")


def test_bldr_sandbox_is_listed(tmp_path):
    assert "  sandbox " in bldr("help", cwd=tmp_path).stdout


def test_messages_carry_the_name_that_was_called(program, tmp_path):
    link = tmp_path / "other-name"
    link.symlink_to(program)
    ran = subprocess.run([link, "--nonsense"], capture_output=True, text=True)
    assert ran.stderr == "other-name: Unknown option --nonsense\n"
    usage = subprocess.run([link], capture_output=True, text=True)
    assert (usage.stderr.splitlines()[0], usage.returncode) == (f"usage: {link} [OPTIONS...] [--] COMMAND [ARGS...]", 1)


def test_level_prefix(bwrap):
    ran = bwrap.run("--level-prefix", "--uid", "1", "--uid", "2", "--nonsense")
    assert ran.stderr == "<4>bwrap: Only the last --uid option will take effect\n<3>bwrap: Unknown option --nonsense\n"


def test_version_is_the_one_whose_options_these_are(bwrap):
    assert bwrap.output("--version") == "bubblewrap 0.11.0"


def test_a_message_may_hold_any_bytes(bwrap):
    ran = subprocess.run([bwrap.path, b"--\xff"], capture_output=True)
    assert ran.stderr == b"bwrap: Unknown option --\xff\n"


def test_arguments_and_environment_may_hold_any_bytes(bwrap, tmp_path):
    words = [b"--ro-bind", b"/", b"/", b"--setenv", b"X", b"\xfe", b"sh", b"-c", b'printf %s "$X$1"', b"sh", b"\xff"]
    for environment in (
        {"PATH": "/usr/bin:/bin"},
        {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        {"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    ):
        ran = subprocess.run([bwrap.path, *words], capture_output=True, env=environment)
        assert ran.stdout == b"\xfe\xff"


def test_it_starts_with_next_to_nothing():
    """What is imported is paid at every start."""
    entry = Path(bldr_linux.__file__).parent / "bubblewrap" / "__main__.py"
    script = (
        "import sys, os; sys.argv = ['x', 'bwrap', '--version']\n"
        "leave = os._exit\n"
        "def tell(code):\n"
        "    print(*sys.modules, file=sys.stderr); leave(code)\n"
        "os._exit = tell\n"
        f"__file__ = {str(entry)!r}\n"
        "exec(open(__file__).read())\n"
    )
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True)
    loaded = set(ran.stderr.split())
    assert "bldr_linux.bubblewrap.main" in loaded
    dear = {
        "dataclasses",
        "typing",
        "enum",
        "signal",
        "socket",
        "subprocess",
        "argparse",
        "re",
        "json",
        "bldr",
        "msgspec",
    }
    assert loaded & dear == set()


def test_it_can_start_itself_again():
    words = again.argv("some name", [b"--nonsense"])
    ran = subprocess.run(words, executable=sys.executable, capture_output=True, text=True, env=dict(os.environ))
    assert ran.stderr == "some name: Unknown option --nonsense\n"


@pytest.mark.parametrize("name", ["bldr-bwrap"])
def test_it_is_installed_as_a_program(name):
    from importlib.metadata import entry_points

    found = entry_points(group="console_scripts", name=name)
    if not found:
        pytest.skip(f"{name} is not installed here: the package was installed before it was added")
    (entry,) = found
    assert entry.value == "bldr_linux.bubblewrap.main:run_process"
