"""Which listeners follow a build: what the options, the terminal and the CI system ask for."""

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from bldr.api.events import Listener
from bldr.report.plain import LogFrame, PlainListener

if TYPE_CHECKING:
    from argparse import Namespace


def make_listeners(arguments: "Namespace", environ: Mapping[str, str]) -> list[Listener]:
    """The listeners of one build; the first shows it to people. Raises BldrError for a file that cannot be written."""
    streams = getattr(sys.stderr, "streams", (sys.stderr,))  # `bldr watch` has two: see `bldr.watch.recorded`
    listeners = [_display(out, arguments, environ) for out in streams]
    if environ.get("GITHUB_ACTIONS") == "true":
        from bldr.report.annotations import GitHubListener

        listeners.append(GitHubListener(sys.stderr, environ, _root()))
    if environ.get("GITLAB_CI") == "true":
        from bldr.report.annotations import GitLabListener

        listeners.append(GitLabListener(environ, _root()))
    if getattr(arguments, "events", None):
        from bldr.report.jsonl import JsonLinesListener

        listeners.append(JsonLinesListener(arguments.events))
    if getattr(arguments, "profile", None):
        from bldr.report.trace import TraceListener

        listeners.append(TraceListener(arguments.profile))
    if getattr(arguments, "junit", None):
        from bldr.report.junit import JUnitListener

        listeners.append(JUnitListener(arguments.junit))
    return listeners


def _root() -> str:
    """The workspace in which the user stands, or ""."""
    from bldr.api.errors import WorkspaceError
    from bldr.load.workspace import find_root

    try:
        return find_root(os.path.realpath(os.getcwd()))
    except WorkspaceError:
        return ""


def _display(out: TextIO, arguments: "Namespace", environ: Mapping[str, str]) -> Listener:
    verbosity = -1 if arguments.quiet else arguments.verbose
    test_output = getattr(arguments, "test_output", "errors")
    frame = _frame(environ)
    is_drawn = frame is None and test_output != "streamed"  # what is drawn would stand between what tests print
    if is_drawn and verbosity >= 0 and out.isatty() and environ.get("TERM", "dumb") != "dumb":
        from bldr.report.terminal import TerminalListener

        return TerminalListener(out, verbosity=verbosity, test_output=test_output)
    return PlainListener(out, verbosity=verbosity, test_output=test_output, frame=frame)


def _frame(environ: Mapping[str, str]) -> LogFrame | None:
    """How the CI system that runs us wants logs to be framed."""
    if environ.get("GITHUB_ACTIONS") == "true":
        from bldr.report.annotations import github_frame

        return github_frame()
    if environ.get("GITLAB_CI") == "true":
        from bldr.report.annotations import gitlab_frame

        return gitlab_frame()
    return None
