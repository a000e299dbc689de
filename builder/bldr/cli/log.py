"""`bldr log`: show what ran for a target, as commands that reproduce it, with what it printed."""

import shlex
import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from bldr.cli.options import add_config_option, add_format_option, add_workspace_options

if TYPE_CHECKING:
    from bldr.inspection import LogEntry


def add_arguments(parser: ArgumentParser) -> None:
    """The targets."""
    parser.add_argument("patterns", nargs="*", metavar="TARGET", help="default: every target here and below")
    add_format_option(parser)
    add_workspace_options(parser)
    add_config_option(parser)


def run(arguments: Namespace) -> int:
    """Print the entries in the order in which they ran."""
    from bldr.cli.opening import open_session, patterns_of
    from bldr.inspection import log_entries

    with open_session(arguments, "log", patterns=patterns_of(arguments)) as session:
        entries = log_entries(session, session.labels())
    if arguments.format == "json":
        from bldr.cli.outcome import write_values

        write_values(entries, sys.stdout)
        return 0
    for entry in entries:
        sys.stdout.write(as_text(entry))
    return 0


def as_text(entry: "LogEntry") -> str:
    """One entry for people: a comment with the outcome, the command, the log."""
    from bldr.api.actions import TREE_ROOT
    from bldr.report.text import sanitize
    from bldr.report.use import use_table

    def said(text: str) -> str:
        return shlex.quote(sanitize(text.replace(TREE_ROOT, entry.cwd)))

    env = [f"{name}={said(value)}" for name, value in sorted(entry.env.items())]
    part = f" ({entry.part})" if entry.part else ""
    lines = [
        f"# {entry.label} {entry.mnemonic}{part}: {entry.status}, exit code {entry.exit_code}",
        *(f"# {line}" for line in sanitize(entry.message).splitlines()),
        f"# it ran because: {sanitize(entry.reason)}",
        *(f"# {line}" for line in use_table(entry.limit_uses)),
        f"# in its sandbox: {entry.reproduce}",
        f"cd {said(entry.cwd)} && env -i {' '.join([*env, *map(said, entry.command)])}",
    ]
    log = sanitize(entry.log)
    return "\n".join(lines) + "\n" + log + ("" if log.endswith("\n") or not log else "\n") + "\n"
