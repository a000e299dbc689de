"""`bldr fetch`: bring the external sources of the workspace, so that builds can go offline."""

import sys
import time
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from bldr.cli.options import add_format_option, add_workspace_options

if TYPE_CHECKING:
    from bldr.fetch import Fetching

_PAUSE_S = 0.1
"""Between two lines about the same fetch."""

_LINE_CHARACTERS = 78
"""What a terminal holds in one line, so that the next can replace it."""


def add_arguments(parser: ArgumentParser) -> None:
    """Which sources."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="names of external sources; default: all")
    add_format_option(parser)
    add_workspace_options(parser)


def run(arguments: Namespace) -> int:
    """Fetch, check and unpack; print where each stands."""
    from bldr.api.errors import BldrError
    from bldr.cli.opening import open_session
    from bldr.load.suggest import suggest

    directories: dict[str, str] = {}
    line = _Line()
    with open_session(arguments, "fetch") as session:
        externals = session.workspace.externals
        if sys.stderr.isatty() and not arguments.quiet:
            session.bringing.progress = line.show
        try:
            for name in arguments.names or sorted(externals):
                if name not in externals:
                    raise BldrError(f'the workspace has no external source "{name}"', suggest(name, externals))
                brought = session.bringing(externals[name])
                if isinstance(brought, str):
                    directories[name] = brought
                else:
                    directories.update((f"{name}/{path}", brought.mounts[path]) for path in sorted(brought.mounts))
        finally:
            line.clear()
    if arguments.format == "json":
        from bldr.cli.outcome import write_values

        write_values(directories, sys.stdout)
    elif not arguments.quiet:
        from bldr.printable import escaped

        sys.stdout.write("".join(f"{name} {escaped(directory)}\n" for name, directory in directories.items()))
    return 0


class _Line:
    """What is being fetched, in a line of the terminal that the next one replaces."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def show(self, event: "Fetching") -> None:
        from bldr.report.text import size

        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + _PAUSE_S
        done = f" {size(event.done_bytes)}" if event.done_bytes else ""
        total = f" of {size(event.total_bytes)}" if event.total_bytes else ""
        sys.stderr.write(f"\r\x1b[K{f'{event.step} {event.name}{done}{total}'[:_LINE_CHARACTERS]}")
        sys.stderr.flush()

    def clear(self) -> None:
        if self._next_s:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
