"""`bldr explain`: say for every action of a target why it ran or would run."""

import sys
from argparse import ArgumentParser, Namespace

from bldr.cli.options import add_config_option, add_format_option, add_isolation_options, add_workspace_options


def add_arguments(parser: ArgumentParser) -> None:
    """The targets, and the isolation under which the question is asked."""
    parser.add_argument("patterns", nargs="*", metavar="TARGET", help="default: every target here and below")
    add_format_option(parser)
    add_workspace_options(parser)
    add_isolation_options(parser)
    add_config_option(parser)


def run(arguments: Namespace) -> int:
    """Print the reasons, one action after the other."""
    from bldr.cli.opening import open_session, patterns_of
    from bldr.inspection import explain
    from bldr.printable import escaped

    with open_session(arguments, "explain", patterns=patterns_of(arguments)) as session:
        explanations = explain(session, session.labels())
    if arguments.format == "json":
        from bldr.cli.outcome import write_values

        write_values(
            [{"label": str(part.label), "mnemonic": part.mnemonic, "lines": list(part.lines)} for part in explanations],
            sys.stdout,
        )
        return 0
    for part in explanations:
        lines = part.lines or ("nothing to do",)
        sys.stdout.write("".join([f"{part.label} {part.mnemonic}\n", *(f"  {escaped(line)}\n" for line in lines)]))
    return 0
