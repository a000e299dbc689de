"""`bldr build`: build targets and print where their outputs are."""

import sys
from argparse import ArgumentParser, Namespace

from bldr.cli.options import add_build_options, add_output_options


def add_arguments(parser: ArgumentParser) -> None:
    """Patterns and the options of every build."""
    parser.add_argument(
        "patterns", nargs="*", metavar="TARGET", help="//pkg:name, //pkg/..., :name; after --: -//pkg:name to leave out"
    )
    add_build_options(parser)
    add_output_options(parser)


def run(arguments: Namespace) -> int:
    """Build, then print the result: outputs with -v, one JSON object with --format json."""
    from bldr.cli.opening import open_session, patterns_of

    with open_session(arguments, "build", patterns=patterns_of(arguments)) as session:
        outcome = session.build()
    if arguments.format == "json":
        from bldr.cli.outcome import write_json

        write_json(outcome, sys.stdout)
    elif arguments.verbose:
        from bldr.printable import escaped

        for label, paths in sorted(outcome.outputs.items()):
            sys.stdout.write("".join([f"{label}:\n", *(f"  {escaped(path)}\n" for path in paths)]))
    return outcome.exit_code
