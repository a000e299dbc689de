"""`bldr watch`: build, and build again whenever something that the build depends on changes."""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from bldr.cli.options import add_build_options
from bldr.cli.test_options import add_test_options

if TYPE_CHECKING:
    from bldr.watch.builder import Message
    from bldr.watch.screen import Screen
    from bldr.watch.server import Server
    from bldr.watch.warm import Kept

_OWN = ("--clear", "--poll")


def add_arguments(parser: ArgumentParser) -> None:
    """What to do, and the options of builds and tests."""
    parser.add_argument(
        "patterns", nargs="*", metavar="TARGET", help='"build" (the default) or "test", then targets as these take them'
    )
    group = parser.add_argument_group("watching")
    group.add_argument("--clear", action="store_true", help="empty the terminal before each build")
    group.add_argument("--poll", action="store_true", help="look for changes, on file systems that do not tell of them")
    add_build_options(parser)
    add_test_options(parser)


def run(arguments: Namespace) -> int:
    """Watch until interrupted."""
    if not hasattr(os, "fork"):
        from bldr.api.errors import BldrError

        raise BldrError(
            "bldr watch cannot work on this system, where no process can be forked", "run bldr build again instead"
        )
    from bldr.watch.builder import Builder
    from bldr.watch.opening import open_source
    from bldr.watch.screen import Screen
    from bldr.watch.watching import Watching

    command, words = command_of(arguments.words[1:])
    parse(command, words)  # mistakes are said before anything starts
    root = find_root(os.path.realpath(os.getcwd()))
    screen = Screen(sys.stderr, name=os.path.basename(root), clear=arguments.clear, quiet=arguments.quiet)
    builder = Builder(make_build(command, words, root, arguments.started_ns))
    answers = None if arguments.poll else _open_server(root, [command, *words], screen)
    return Watching(root, lambda: open_source(root, screen.warn, polled=arguments.poll), builder, screen, answers).run()


def _open_server(root: str, words: Sequence[str], screen: "Screen") -> "Server | None":
    """Who answers other commands; nobody where another watcher does, or there can be none."""
    from bldr.snapshot.request import cache_directory, is_off, request_key
    from bldr.watch.server import Server

    if is_off(os.environ) or not hasattr(os, "O_PATH"):
        return None
    try:
        key = request_key(words, os.getcwd(), os.environ)
        return Server(root, cache_directory(words, os.environ), key)
    except BlockingIOError:
        return None
    except OSError as error:
        screen.warn(f"other commands of the workspace are not answered: {error}", "they look at everything themselves")
        return None


def command_of(words: Sequence[str]) -> tuple[str, list[str]]:
    """The command that watching repeats, and its words: those of a command line that does the same once.

    What chooses the directory is left out: we stand in it.
    """
    taken: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            taken += [word, *rest]
        elif word in ("-C", "--directory"):
            next(rest, "")
        elif word not in _OWN and not word.startswith(("--directory=", "-C")):
            taken.append(word)
    first = _first_positional(taken)
    if first >= 0 and taken[first] in ("build", "test"):
        return taken.pop(first), taken
    return "build", taken


def _first_positional(words: Sequence[str]) -> int:
    """Where the first word stands that is neither an option nor what belongs to one; -1 where there is none."""
    parser = ArgumentParser()
    add_arguments(parser)
    valued = {name for action in parser._actions if action.nargs != 0 for name in action.option_strings}
    skip = False
    for index, word in enumerate(words):
        if skip:
            skip = False
        elif word == "--":
            break
        elif word in valued:
            skip = True
        elif not word.startswith("-"):
            return index
    return -1


def parse(command: str, words: Sequence[str]) -> Namespace:
    """The options of one build. Raises SystemExit, with the usage printed, for those that the command does not have."""
    from bldr.cli.main import bundled_command, make_parser

    before, after = list(words), []
    if "--" in before:
        split = before.index("--")
        before, after = before[:split], before[split + 1 :]
    arguments = make_parser(bundled_command(command)).parse_intermixed_args(before)
    arguments.after_dashes = after
    arguments.words = [command, *words]
    return arguments


def find_root(directory: str) -> str:
    """The workspace to watch; while its Builderfile is broken, the nearest directory that has one."""
    from bldr.api.errors import WorkspaceError
    from bldr.load.syntax import BUILDERFILE
    from bldr.load.workspace import find_root as find_whole_root

    try:
        return find_whole_root(directory)
    except WorkspaceError as error:
        at = directory
        while not os.path.isfile(os.path.join(at, BUILDERFILE)):
            above = os.path.dirname(at)
            if above == at or not any(problem.file for problem in error.problems):
                raise
            at = above
        return at


def make_build(command: str, words: Sequence[str], root: str, started_ns: int) -> "Callable[[Message], Message]":
    """What the process that builds does with each order."""
    kept: list[Kept] = []
    directory = os.getcwd()

    def build(order: "Message") -> "Message":
        from bldr.watch.warm import Kept

        try:
            os.chdir(directory)  # what stands at this path now, not what stood there
        except OSError as error:
            sys.stderr.write(f"error: {directory} cannot be entered: {error.strerror}\n")
            return {"exit_code": 2, "ran": 0, "remembered": True}
        if not kept:
            kept.append(Kept())
        try:
            return _build(kept[0], command, words, root, started_ns, order)
        finally:
            if kept[0].get_ready is not None:
                kept[0].get_ready()

    return build


def _build(kept: "Kept", command: str, words: Sequence[str], root: str, started_ns: int, order: "Message") -> "Message":
    from bldr.cli.main import bundled_command
    from bldr.watch.opening import read_ignored
    from bldr.watch.warm import WarmSession, files_of

    if order["known"]:
        kept.hold(order["modified"], order["listed"], order["as_of_ns"])
    else:
        kept.forget()
    report = None if order["settling"] else _build_little(kept, [command, *words], order["held"])
    if report is not None:
        return report
    if order["asked"]:
        kept.forget()  # whoever asks is told what comes of a look at everything
    kept.passed_on = None
    is_whole = kept.workspace is None
    before = kept.workspace if kept.reported else None
    arguments = parse(command, words)
    arguments.started_ns = started_ns
    arguments.session = partial(WarmSession, kept)
    exit_code, said = _run(
        partial(bundled_command(command).run, arguments),
        order["held"],
        lambda: not kept.outcome or kept.outcome.ran > 0,
    )
    kept.snapshot = _snapshot(arguments.words) if kept.remembers else None
    report = {
        "exit_code": exit_code,
        "ran": kept.outcome.ran if kept.outcome else 0,
        "remembered": not kept.remembers
        or bool(kept.outcome and not kept.outcome.is_repeatable)
        or (kept.snapshot is not None and kept.snapshot[1] >= order["as_of_ns"]),
        "shared": _shared(kept, exit_code, said, is_whole=is_whole),
    }
    workspace = kept.workspace
    if workspace is not None and workspace is before and kept.plan is not None:
        return {**report, "same": True}
    kept.reported = False
    if workspace is not None:
        report |= {"directories": workspace.directories_read, "ignored": read_ignored(root)}
        if kept.plan is not None:
            report["files"] = files_of(kept.plan, workspace)
            kept.reported = True
    return report


def _build_little(kept: "Kept", words: list[str], held: str) -> "Message | None":
    """Do what is to be done if it is nothing, or follows from contents of sources alone; None for everything else.

    Only while the snapshot is that of which the watcher knows what it depends on.
    """
    from bldr.snapshot.check import answer

    snapshot = kept.snapshot
    if not kept.reported or snapshot is None or _snapshot(words) != snapshot:
        return None
    before = _snapshot(words, since=True)
    code, said = _run(partial(answer, words), held, lambda: _snapshot(words, since=True) != before)
    if code is None or _snapshot(words) != snapshot:
        return None
    ran = int(_snapshot(words, since=True) != before)
    shared = _shared(kept, code, said, is_whole=True)
    return {"exit_code": code, "ran": ran, "remembered": True, "same": True, "shared": shared}


def _shared(kept: "Kept", code: int | None, said: list[str], *, is_whole: bool) -> "Message | None":
    """What others may be told who ask for the same; None where they have to look themselves. `is_whole`: whether
    everything was looked at."""
    from bldr.cli.main import BUG, INTERRUPTED

    if kept.passed_on is None or code in (INTERRUPTED, BUG):
        return None
    return {"exit_code": code, "said": said, "passed_on": kept.passed_on, "is_whole": is_whole}


def _snapshot(words: Sequence[str], *, since: bool = False) -> tuple[int, int] | None:
    """Which snapshot there is of a request, or which note of what changed since: an inode and a time."""
    from bldr.snapshot.files import SINCE, place_of
    from bldr.snapshot.request import cache_directory, request_key

    path = place_of(cache_directory(words, os.environ), request_key(words, os.getcwd(), os.environ))
    try:
        status = os.stat(path + SINCE if since else path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _run(
    run: "Callable[[], int | None]", held: str, is_worth_telling: "Callable[[], bool]"
) -> tuple[int | None, list[str]]:
    """Run a command as `bldr` does; its exit code, and what it said on standard error and output.

    With `held`, nothing is shown unless it failed or is worth telling.
    """
    from io import StringIO

    from bldr.cli.main import report
    from bldr.watch.recorded import Recorded

    screen, stdout, buffer = sys.stderr, sys.stdout, StringIO()
    recorded = Recorded(buffer if held else screen), Recorded(stdout)
    sys.stderr, sys.stdout = recorded
    try:
        try:
            code = run()
            sys.stdout.flush()
        except Exception as error:
            code = report(error, debug=bool(os.environ.get("BLDR_DEBUG")))
        if held and code is not None and (code or is_worth_telling()):
            screen.write(held.lstrip(" ") + buffer.getvalue())
            screen.flush()
    finally:
        sys.stderr, sys.stdout = screen, stdout
    return code, [each.kept.getvalue() for each in recorded]
