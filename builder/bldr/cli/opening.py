"""Opens the session of a command: the request of its options, the listeners, and errors shown once."""

import os
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from bldr.api.errors import BldrError, WorkspaceError
from bldr.api.events import Listener
from bldr.cli.listeners import make_listeners
from bldr.cli.options import make_request
from bldr.cli.test_options import can_be_foretold
from bldr.session import Session
from bldr.snapshot.request import COMMANDS, is_off, moves, request_key, twin_key
from bldr.snapshot.wanted import Wanted


@contextmanager
def open_session(
    arguments: Namespace,
    command: str,
    *,
    patterns: tuple[str, ...] = (),
    run_args: tuple[str, ...] = (),
    listeners: tuple[Listener, ...] = (),
) -> Iterator[Session]:
    """A session that follows the options; `listeners` follow it besides those that the options ask for."""
    request = make_request(arguments, os.environ, command, patterns=patterns, run_args=run_args)
    request = msgspec.structs.replace(request, snapshot=_wanted_snapshot(arguments, command, os.environ))
    following = [*make_listeners(arguments, os.environ), *listeners]
    try:
        session: Session = getattr(arguments, "session", Session)(request, following)  # `bldr watch` has its own
    except BaseException:
        for listener in reversed(following):  # there is no stream yet that would close them
            listener.close()
        raise
    try:
        with session:
            yield session
    except BldrError as error:
        _mark_shown(error, following[0])
        raise


def _wanted_snapshot(arguments: Namespace, command: str, environ: Mapping[str, str]) -> Wanted | None:
    """Where to keep what the build knew; None where the next one would print more than can be foretold."""
    words: list[str] | None = getattr(arguments, "words", None)
    if words is None or command not in COMMANDS or is_off(environ) or moves(words):
        return None
    if arguments.format != "text" or arguments.verbose or arguments.events or arguments.profile:
        return None
    if command == "test" and not can_be_foretold(arguments):
        return None
    if "true" in (environ.get("GITHUB_ACTIONS"), environ.get("GITLAB_CI")):
        return None
    place = os.getcwd()
    key, twin = request_key(words, place, environ), twin_key(words, place, environ)
    return Wanted(key, arguments.started_ns, is_quiet=arguments.quiet, twin=twin)


def patterns_of(arguments: Namespace) -> tuple[str, ...]:
    """The patterns before and after `--`, in order."""
    return (*arguments.patterns, *arguments.after_dashes)


def _mark_shown(error: BldrError, display: Listener) -> None:
    """An error that came as an event too is on the screen already: `main` says it no second time."""
    shown: set[str] = getattr(display, "errors_shown", set())
    messages = [problem.message for problem in error.problems] if isinstance(error, WorkspaceError) else [error.message]
    error.shown = shown.issuperset(messages)  # type: ignore[attr-defined]
