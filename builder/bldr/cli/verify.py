"""`bldr verify`: read all that is kept, and compare it with what was stored. Needs no workspace."""

import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from bldr.cli.options import add_format_option, add_workspace_options

if TYPE_CHECKING:
    from bldr.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    """How to print, and where the cache is."""
    add_format_option(parser)
    add_workspace_options(parser)
    parser.epilog = (
        "Damaged blobs are removed, and made again when they are missed; damaged external sources are unpacked again "
        "when they are used. The exit code is 6 where anything was damaged."
    )


def run(arguments: Namespace) -> int:
    """Read every blob, and the external sources of the workspace where there is one."""
    from bldr.api.errors import ExitCode
    from bldr.cli.opening import open_session
    from bldr.cli.outcome import write_values
    from bldr.report.text import count, size

    with open_session(arguments, "verify") as session:
        # first what a mistake in the workspace ends: blobs that are removed are to be told of
        sources, found = _sources(session)
        report = session.store.verify()
    if arguments.format == "json":
        write_values({**report._asdict(), "sources": sources, "damaged_sources": found}, sys.stdout)
    else:
        lines = [f"the blob {digest} was damaged, and is removed" for digest in report.damaged]
        lines += found
        checked = f"{count(report.blobs, 'blob')} ({size(report.size_bytes)}) and {count(sources, 'external source')}"
        lines.append(
            f"read {checked}: {count(len(lines), 'thing')} damaged" if lines else f"read {checked}: all is well"
        )
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    return ExitCode.CACHE if report.damaged or found else ExitCode.OK


def _sources(session: "Session") -> tuple[int, list[str]]:
    """How many external sources the workspace has, and what is damaged of those that are here."""
    from bldr.api.errors import WorkspaceError

    try:
        session.root  # noqa: B018 - raises where there is none
    except WorkspaceError:
        return 0, []
    externals = session.workspace.externals.values()
    return len(externals), [text for source in externals for text in session.bringing.damage(source)]
