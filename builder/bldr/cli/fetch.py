"""`bldr fetch`: bring the external sources of the workspace, so that builds can go offline."""

import sys
from argparse import ArgumentParser, Namespace

from bldr.cli.options import add_format_option, add_workspace_options


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
    with open_session(arguments, "fetch") as session:
        externals = session.workspace.externals
        for name in arguments.names or sorted(externals):
            if name not in externals:
                raise BldrError(f'the workspace has no external source "{name}"', suggest(name, externals))
            brought = session.bringing(externals[name])
            if isinstance(brought, str):
                directories[name] = brought
            else:
                directories.update((f"{name}/{path}", brought.mounts[path]) for path in sorted(brought.mounts))
    if arguments.format == "json":
        from bldr.cli.outcome import write_values

        write_values(directories, sys.stdout)
    elif not arguments.quiet:
        sys.stdout.write("".join(f"{name} {directory}\n" for name, directory in directories.items()))
    return 0
