"""`bldr shell`: enter the sandbox of an action, with its inputs, environment and limits."""

from argparse import ArgumentParser, Namespace

from bldr.cli.options import add_config_option, add_isolation_options, add_workspace_options


def add_arguments(parser: ArgumentParser) -> None:
    """The target whose failed (or else last) action is entered."""
    parser.add_argument("target", metavar="TARGET", help="its failed action is entered, or else its last")
    add_workspace_options(parser)
    add_isolation_options(parser)
    add_config_option(parser)


def run(arguments: Namespace) -> int:
    """Open the shell; its exit code is ours."""
    from bldr.api.errors import BldrError
    from bldr.cli.opening import open_session
    from bldr.inspection import shell

    if arguments.after_dashes:
        raise BldrError("a shell takes no command", "type it into the shell, or pipe it into its standard input")
    with open_session(arguments, "shell", patterns=(arguments.target,)) as session:
        return shell(session, session.labels())
