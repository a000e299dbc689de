"""Entry of the process `bldr`: finds the command, runs it, turns every error into a message and an exit code.

Starting must cost next to nothing, so this module imports nothing at its top but what the interpreter has loaded
already, and a command's module is imported only when that command was asked for.
"""

import gc
import os
import sys
import time

TYPE_CHECKING = False  # as in typing, whose import takes longer than the whole of this module
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from bldr.api.commands import Command

STARTED_NS = time.time_ns()
"""When this process began to load bldr: a module that is newer than that may be another than the one it runs."""

BEGUN_NS = time.monotonic_ns()
"""The same by the clock that does not jump."""

BROKEN_PIPE = 141  # 128 + SIGPIPE, as the shell shows it for programs that do not handle the signal
INTERRUPTED = 8
BUG = 70
CANNOT_WRITE = 6
USAGE = 2

USAGE_TEXT = """\
usage: bldr [-C DIRECTORY] [--debug] COMMAND [ARGUMENTS...]
       bldr --version | --help | help [COMMAND]
"""


def main(argv: "Sequence[str] | None" = None, begun_ns: int | None = None) -> int:
    """Run the command line `argv` (without the program's name) and return the process's exit code.

    The process's signal handlers stay as they are: they are the caller's. `begun_ns` is a moment, by the monotonic
    clock, since which the caller has changed no file; now if not given.
    """
    begun_ns = time.monotonic_ns() if begun_ns is None else begun_ns
    words = list(sys.argv[1:] if argv is None else argv)
    debug = bool(os.environ.get("BLDR_DEBUG"))
    try:
        _open_standard_streams()
        words, debug = _leading_options(words, debug)
        code = None if debug else _answer(words, begun_ns)
        if code is None:
            code = _dispatch(words)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        _drop_stdout()
        return BROKEN_PIPE
    except SystemExit as error:  # argparse, after it has printed what is wrong
        return error.code if isinstance(error.code, int) else USAGE
    except Exception as error:
        return report(error, debug)


def _signed(code: int) -> int:
    """Windows has codes of 32 bits (0xC0000005, an access violation), and C a signed number for them."""
    return code - (1 << 32) if code >= 1 << 31 else code


def run_process() -> "NoReturn":
    """The life of the process `bldr`.

    It ends without the interpreter's own tidying, in the course of which Python takes our handlers away: an interrupt
    would then turn a build that is done into one that was killed.
    """
    if os.getpid() == 1:
        from bldr.cli.first import become_second

        become_second()
    gc.set_threshold(200_000, 20, 1000)  # graphs are large, live to the end and hold no cycles
    _end_at_once_when_interrupted()
    code = main(begun_ns=BEGUN_NS)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            if stream is sys.stdout:  # of standard error nobody expects that it can be read
                code = code or CANNOT_WRITE
    os._exit(_signed(code))


def _leading_options(words: list[str], debug: bool) -> tuple[list[str], bool]:
    """Take the options that stand before the command; `-C` moves there at once, as make and git do."""
    while words:
        if words[0] == "--debug":
            debug = True
            words = words[1:]
        elif words[0] in ("-C", "--directory") and len(words) > 1:
            change_directory(words[1])
            words = words[2:]
        else:
            break
    return words, debug


def change_directory(path: str) -> None:
    """Stand in `path` from now on; raises BldrError where that is impossible."""
    try:
        os.chdir(path)
    except OSError as error:
        from bldr.api.errors import BldrError
        from bldr.printable import escaped

        raise BldrError(f'cannot change to the directory "{escaped(path)}": {error.strerror}') from error


def _answer(words: list[str], begun_ns: int) -> int | None:
    """The exit code of a command whose answer is known without a look at its options; None for every other.

    Whoever can answer is asked here, the cheapest first, before anything is imported.
    """
    if not words or words[0] not in ("build", "test"):
        return None
    from bldr.watch.client import ask

    code = ask(words, begun_ns)
    if code is not None:
        return code
    from bldr.snapshot.check import answer

    return answer(words)


def _dispatch(words: list[str]) -> int:
    name, *rest = words or [""]
    if name in ("--version", "-V", "version"):
        from bldr import __version__

        print(f"bldr {__version__}")  # noqa: T201
        return 0
    if name in ("", "help", "-h", "--help"):
        return _help(rest, complete=bool(name))
    from bldr.cli.commands import BUNDLED

    if name in BUNDLED:
        return _run_bundled(name, rest)
    if name.startswith("-"):
        _say(f'bldr: unknown option "{name}" before the command\nhint: options of a command stand after its name')
        return USAGE
    return _run_foreign(name, rest)


def _run_bundled(name: str, words: list[str]) -> int:
    """Bundled commands take options anywhere before `--`; what follows it arrives as `arguments.after_dashes`."""
    command = bundled_command(name)
    after_dashes: list[str] = []
    given = [name, *words]
    if "--" in words:
        split = words.index("--")
        words, after_dashes = words[:split], words[split + 1 :]
    arguments = make_parser(command).parse_intermixed_args(words)
    arguments.after_dashes = after_dashes
    arguments.words = given
    arguments.started_ns = STARTED_NS
    from bldr.lean import import_msgspec

    import_msgspec()
    return _run(command, arguments)


def _run_foreign(name: str, words: list[str]) -> int:
    from bldr.plugins import load_plugins

    registry = load_plugins()
    commands = registry.commands
    if name not in commands:
        from bldr.cli.commands import BUNDLED
        from bldr.load.suggest import suggest

        hint = suggest(name, [*BUNDLED, *commands]) or "bldr help lists the commands"
        if registry.broken:
            hint = "; ".join(f"{one} could not be loaded: {one.reason}" for one in registry.broken)
        _say(f'bldr: no command "{name}"\nhint: {hint}')
        return USAGE
    return _run_stranger(commands[name][0], str(registry.origin("command", name)), words)


def _run_stranger(command: "Command", origin: str, words: list[str]) -> int:
    """A command of a plugin. What goes wrong in it is no bug of ours: raises PluginError."""
    from bldr.api.errors import BldrError, PluginError

    try:
        code = _run(command, make_parser(command).parse_args(words))
    except (BldrError, BrokenPipeError):
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        message = f'the command "{command.name}" of {origin} failed: {what}'
        raise PluginError(message, "report it to the plugin's authors; BLDR_DEBUG=1 shows where it was") from error
    if not isinstance(code, int):
        message = f'the command "{command.name}" of {origin} returned no exit code'
        raise PluginError(message, "report it to the plugin's authors: its function run returns an integer")
    return int(code)


def _run(command: "Command", arguments: "Namespace") -> int:
    directory = getattr(arguments, "directory", None)
    if directory:
        change_directory(directory)
    run: Callable[[Namespace], int] = command.run
    return run(arguments)


def bundled_command(name: str) -> "Command":
    """The bundled command `name`, whose module is imported by this. Its shape is Command's; making one would import
    the whole of the API, for which a null build has no time."""
    from importlib import import_module
    from types import SimpleNamespace

    from bldr.cli.commands import BUNDLED

    module = import_module(f"bldr.cli.{name}")
    command: Command = SimpleNamespace(  # type: ignore[assignment]
        name=name, summary=BUNDLED[name], add_arguments=module.add_arguments, run=module.run
    )
    return command


def make_parser(command: "Command") -> "ArgumentParser":
    """The complete parser of one command."""
    from argparse import ArgumentParser, HelpFormatter

    from bldr.printable import shown

    class Parser(ArgumentParser):
        """What it quotes of the command line does nothing to a terminal."""

        def error(self, message: str) -> "NoReturn":
            super().error(shown(message))

    columns = _columns()
    parser = Parser(
        prog=f"bldr {command.name}",
        description=f"{command.summary[:1].upper()}{command.summary[1:]}.",
        allow_abbrev=False,
        formatter_class=lambda prog: HelpFormatter(prog, width=columns - 2),  # for each option one is made
    )
    command.add_arguments(parser)
    return parser


def _columns() -> int:
    """The width of the terminal, as `shutil` would find it: that one is dear to import."""
    if os.environ.get("COLUMNS", "").isdecimal() and int(os.environ["COLUMNS"]):
        return int(os.environ["COLUMNS"])
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):
        return 80


def _help(words: list[str], *, complete: bool) -> int:
    from bldr.cli.commands import BUNDLED

    if words:
        name = words[0]
        return _run_bundled(name, ["--help"]) if name in BUNDLED else _run_foreign(name, ["--help"])
    commands = dict(BUNDLED)
    if complete:
        from bldr.plugins import load_plugins

        commands.update({name: command.summary for name, (command, _) in load_plugins().commands.items()})
    lines = [f"  {name:<12}{summary}" for name, summary in commands.items()]
    text = f"{USAGE_TEXT}\ncommands:\n" + "\n".join(lines) + "\n\nbldr help COMMAND tells more about one.\n"
    (sys.stdout if complete else sys.stderr).write(text)
    return 0 if complete else USAGE


def report(error: Exception, debug: bool) -> int:
    """Print an error that ended the command; whatever is not a person's to mend is a bug of ours."""
    import errno

    from bldr.api.errors import BldrError, WorkspaceError

    if debug:
        import traceback

        traceback.print_exc()
    if isinstance(error, BldrError):
        if not getattr(error, "shown", False):
            _say(str(error) if isinstance(error, WorkspaceError) else f"error: {error}")
        return error.exit_code
    if isinstance(error, OSError) and error.filename is None and error.errno in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
        _drop_stdout()
        _say(f"error: cannot write to standard output: {(error.strerror or '').lower()}")
        return CANNOT_WRITE
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    _say(f"this is a bug in bldr: {what}\nhint: report it with the output of the same command under BLDR_DEBUG=1")
    return BUG


def _open_standard_streams() -> None:
    """Replace standard streams that the caller closed by /dev/null.

    The next file that is opened would take the descriptor's number otherwise, and our own output would land in it.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r+"))  # noqa: SIM115 - as long as the process lives
    # Standard error escapes what its encoding lacks, standard output would raise.
    getattr(sys.stdout, "reconfigure", lambda **_: None)(errors="backslashreplace")
    if not hasattr(os, "fork"):  # Windows, whose code pages lack most of what names and messages may hold
        for stream in (sys.stdout, sys.stderr):
            getattr(stream, "reconfigure", lambda **_: None)(encoding="utf-8")


def _end_at_once_when_interrupted() -> None:
    """Let SIGINT, SIGTERM, SIGHUP and SIGBREAK end the process where it stands; what the caller ignores stays ignored.

    Nothing needs tidying: whatever is killed at any instant leaves a store and a workspace that work, and launchers
    end with us. While actions run the loop has handlers of its own. An exception instead of an end could be raised
    inside a library's C code: msgspec crashes when that happens while it reads a type.
    """
    if TYPE_CHECKING:
        import signal as _signal
    else:
        import _signal  # the C half: the other one imports enum, which takes a third of the interpreter's own start

    def end(_number: int, _frame: object) -> None:
        try:
            os.write(2, b"interrupted\n")
        finally:
            os._exit(INTERRUPTED)

    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(_signal, name, None)
        try:
            if number is not None and _signal.getsignal(number) in (_signal.SIG_DFL, _signal.default_int_handler):
                _signal.signal(number, end)
        except ValueError:  # not the main thread: an embedder keeps its own handlers
            return


def _say(text: str) -> None:
    if not text.isprintable():
        from bldr.printable import shown

        text = shown(text)
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except OSError:  # nobody reads standard error: the exit code has to do
        return


def _drop_stdout() -> None:
    """Point standard output at nothing, or the interpreter complains about the pipe when it flushes at exit."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)


if __name__ == "__main__":
    run_process()
