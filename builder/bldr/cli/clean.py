"""`bldr clean`: remove the outputs of the workspace; the cache stays."""

from argparse import ArgumentParser, Namespace

from bldr.cli.options import add_config_option, add_workspace_options


def add_arguments(parser: ArgumentParser) -> None:
    """Only where the workspace is."""
    add_workspace_options(parser)
    add_config_option(parser)


def run(arguments: Namespace) -> int:
    """Remove `bldr-out`, or what one configuration has of it."""
    from bldr.cli.opening import open_session

    with open_session(arguments, "clean") as session:
        session.clean()
    return 0
