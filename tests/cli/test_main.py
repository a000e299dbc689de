"""The entry: which command runs, what is imported for it, and what becomes of every kind of error."""

import os
import signal
import subprocess
import sys
import time

import pytest

from bldr import __version__
from bldr.api.commands import Command
from bldr.api.errors import BldrError, CacheError, IsolationError, Problem, WorkspaceError
from bldr.cli.commands import BUNDLED
from bldr.cli.main import _signed, bundled_command, main, make_parser
from bldr.plugins import Registry

PROCESS = [sys.executable, "-m", "bldr.cli.main"]


@pytest.fixture
def failing(monkeypatch):
    """Makes `bldr clean` raise what it is given."""

    def make(error):
        def run(_arguments):
            raise error

        monkeypatch.setattr("bldr.cli.clean.run", run)

    return make


def test_version(bldr):
    assert bldr("--version") == (0, f"bldr {__version__}\n", "")


def test_no_command_is_a_usage_error_that_lists_the_commands(bldr):
    done = bldr()
    assert (done.code, done.out) == (2, "")
    assert "usage: bldr" in done.err and "\n  build " in done.err


def test_help_names_every_command(bldr):
    done = bldr("help")
    assert done.code == 0
    for name, summary in BUNDLED.items():
        assert f"\n  {name:<12}{summary}\n" in done.out


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_command_explains_itself(bldr, name):
    done = bldr("help", name)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"usage: bldr {name} ")
    assert done == bldr(name, "--help")


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_command_takes_options_anywhere(name):
    # What intermixed parsing cannot do it refuses with TypeError, as soon as it is asked to.
    parser = make_parser(bundled_command(name))
    required = [action for action in parser._actions if not action.option_strings and action.nargs is None]
    words = [action.choices[0] if action.choices else "//a:a" for action in required]
    assert parser.parse_intermixed_args(words)


def test_an_unknown_command_gets_a_suggestion(bldr):
    assert bldr("biuld") == (2, "", 'bldr: no command "biuld"\nhint: did you mean "build"?\n')
    assert bldr("zzz") == (2, "", 'bldr: no command "zzz"\nhint: bldr help lists the commands\n')


def test_an_unknown_option_is_a_usage_error(bldr):
    assert bldr("--hermetic", "build").code == 2
    done = bldr("clean", "--hermetic")
    assert done.code == 2
    assert "unrecognized arguments: --hermetic" in done.err


def test_an_error_is_a_message_with_a_hint_and_its_exit_code(bldr, failing):
    failing(CacheError("the disk is full", "free some space"))
    assert bldr("clean") == (6, "", "error: the disk is full\nhint: free some space\n")
    failing(IsolationError("no user namespaces"))
    assert bldr("clean") == (5, "", "error: no user namespaces\n")


def test_all_mistakes_of_a_workspace_are_printed_in_order(bldr, failing):
    problems = [
        Problem("b/Builderfile", 3, 1, "no language", ""),
        Problem("Builderfile", 12, 1, 'target "app": no source "mian.c"', 'did you mean "main.c"?'),
    ]
    failing(WorkspaceError(problems))
    assert bldr("clean") == (
        2,
        "",
        'Builderfile:12:1: target "app": no source "mian.c"\n'
        'hint: did you mean "main.c"?\n'
        "b/Builderfile:3:1: no language\n",
    )


def test_an_interrupt_is_8(bldr, failing):
    failing(KeyboardInterrupt())
    assert bldr("clean") == (8, "", "interrupted\n")


def test_anything_else_is_our_bug(bldr, failing):
    failing(ZeroDivisionError("division by zero"))
    done = bldr("clean")
    assert done.code == 70
    assert done.err.startswith("this is a bug in bldr: ZeroDivisionError: division by zero\nhint: ")
    assert "Traceback" not in done.err


@pytest.mark.parametrize("how", ["--debug", "BLDR_DEBUG"])
def test_the_traceback_is_there_for_who_wants_it(bldr, failing, monkeypatch, how):
    failing(BldrError("a mistake"))
    words = ["clean"]
    if how == "--debug":
        words.insert(0, how)
    else:
        monkeypatch.setenv(how, "1")
    done = bldr(*words)
    assert done.code == 2
    assert "Traceback" in done.err and done.err.endswith("error: a mistake\n")


def test_directory_stands_before_or_after_the_command(bldr, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("bldr.cli.clean.run", lambda _: seen.append(os.getcwd()) or 0)
    (tmp_path / "here").mkdir()
    for words in (["-C", "here", "clean"], ["clean", "-C", "here"], ["clean", "--directory=here"]):
        monkeypatch.chdir(tmp_path)
        assert bldr(*words).code == 0
    assert seen == [str(tmp_path / "here")] * 3
    done = bldr("clean", "-C", "nowhere")
    assert done.code == 2
    assert 'cannot change to the directory "nowhere": No such file or directory' in done.err


def test_what_follows_the_dashes_reaches_the_command_as_it_is(bldr, monkeypatch):
    seen = []
    monkeypatch.setattr("bldr.cli.build.run", lambda arguments: seen.append(arguments) or 0)
    assert bldr("build", "//a", "-k", "//b", "-j", "3", "--", "-//c:d", "--", "-k").code == 0
    assert (seen[0].patterns, seen[0].after_dashes, seen[0].jobs) == (["//a", "//b"], ["-//c:d", "--", "-k"], 3)


@pytest.fixture
def foreign(monkeypatch):
    """A registry with a stranger's command `greet`."""
    registry = Registry()
    command = Command(
        "greet",
        "greet somebody",
        lambda parser: parser.add_argument("names", nargs="*"),
        lambda arguments: print("hello", *arguments.names) or 4,
    )
    registry.add_commands([command], "bldr-greet")
    monkeypatch.setattr("bldr.plugins.load_plugins", lambda: registry)


def test_a_stranger_s_command_runs_like_ours(bldr, foreign):
    assert bldr("greet", "you") == (4, "hello you\n", "")
    assert "  greet       greet somebody\n" in bldr("help").out
    assert "usage: bldr greet" in bldr("help", "greet").out
    assert 'did you mean "greet"?' in bldr("gret").err


def test_a_reader_that_goes_away_is_no_error():
    with subprocess.Popen([*PROCESS, "help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()  # long before anything is written
        assert process.stderr.read() == b""
        assert process.wait() == 141


@pytest.mark.parametrize(
    ("closed", "words", "code"), [("2>&-", "biuld", 2), (">&-", "--version", 0), ("<&-", "help", 0)]
)
def test_closed_standard_streams_are_no_error(closed, words, code):
    command = ["/bin/sh", "-c", f'"$@" {words} {closed}', "sh", *PROCESS]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (code, b"")


def test_a_file_that_is_opened_later_is_never_taken_for_a_standard_stream(tmp_path):
    code = (
        "import sys; from bldr.cli.main import main; import bldr.cli.clean\n"
        "def run(_):\n"
        f"    with open({str(tmp_path / 'file')!r}, 'w') as file: assert file.fileno() > 2; print('to nowhere')\n"
        "    return 0\n"
        "bldr.cli.clean.run = run\n"
        "sys.exit(main(['clean']))\n"
    )
    command = ["/bin/sh", "-c", '"$@" <&- >&- 2>&-', "sh", sys.executable, "-c", code]
    assert subprocess.run(command, check=False).returncode == 0
    assert (tmp_path / "file").read_text() == ""


def test_an_encoding_that_lacks_a_letter_is_no_error(workspace, cache):
    workspace({"Builderfile": '[workspace]\nname = "w"\n[target.a]\ntype = "command"\ndescription = "\u65e5"\n'
                              'outputs = ["o"]\ncommand = "x"\n'})  # fmt: skip
    done = subprocess.run(
        [*PROCESS, "query", "--format=json"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\u65e5" in done.stdout


SLEEPING = """
import sys, time
import bldr.cli.clean
def run(_):
    print("ready", flush=True)
    time.sleep(60)
bldr.cli.clean.run = run
from bldr.cli.main import run_process
sys.argv = ["bldr", "clean"]
run_process()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_that_end_processes_interrupt_cleanly(number):
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait() == 8
        assert process.stderr.read() == "interrupted\n"


def test_a_caller_of_main_keeps_its_own_handlers(bldr):
    def handlers():
        return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

    before = handlers()
    assert bldr("--version").code == 0
    assert handlers() == before


def test_a_hang_up_that_the_caller_ignores_stays_ignored():
    script = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n{SLEEPING}"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        assert process.poll() is None
        process.kill()


def imported(*words):
    """The modules that a command line leaves in its process."""
    code = f"import sys\nfrom bldr.cli.main import main\nmain({list(words)!r})\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    return set(done.stderr.split())


HEAVY = {"asyncio", "dataclasses", "rich", "msgspec", "tomli", "psutil", "pluggy", "sqlite3", "subprocess"}


def test_little_is_imported_to_say_little():
    assert not imported("--version") & {*HEAVY, "argparse", "typing", "re", "bldr.api"}


@pytest.mark.parametrize("name", ["build", "test", "run", "query"])
def test_parsing_a_command_line_imports_nothing_heavy(name):
    found = imported(name, "--help")
    assert "argparse" in found
    assert not found & {*HEAVY, "bldr.api", "bldr.session"}


def test_main_takes_the_process_s_own_arguments(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bldr", "--version"])
    assert main() == 0
    assert capsys.readouterr().out == f"bldr {__version__}\n"


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (255, 255), (3221225477, -1073741819), (0xFFFFFFFF, -1)])
def test_codes_of_32_bits_are_told_as_c_has_them(code, expected):
    assert _signed(code) == expected
