"""`bldr test`: build and run tests and print one line for each."""

import sys
from argparse import ArgumentParser, Namespace

from bldr.cli.options import add_build_options, add_output_options
from bldr.cli.test_options import add_test_options


def add_arguments(parser: ArgumentParser) -> None:
    """Patterns, the options of every build, and those of tests."""
    parser.add_argument(
        "patterns", nargs="*", metavar="TARGET", help="//pkg:name, //pkg/..., :name; after --: -//pkg:name to leave out"
    )
    add_build_options(parser)
    add_output_options(parser)
    add_test_options(parser)


def run(arguments: Namespace) -> int:
    """Test, then print the results."""
    from bldr.cli.opening import open_session, patterns_of
    from bldr.report.tests import TestResults

    results = TestResults()
    with open_session(
        arguments,
        "test",
        patterns=patterns_of(arguments),
        listeners=(results,),
    ) as session:
        outcome = session.build()
    if arguments.format == "json":
        from bldr.cli.outcome import write_json

        write_json(outcome, sys.stdout, tests=results.as_json())
    elif not arguments.quiet:
        sys.stdout.write("".join(f"{line}\n" for line in results.lines()))
    return outcome.exit_code
