"""`bldr doctor`: show what this machine can guarantee, and what to do where it cannot. Needs no workspace."""

import sys
from argparse import ArgumentParser, Namespace

from bldr.cli.options import add_format_option, add_workspace_options


def add_arguments(parser: ArgumentParser) -> None:
    """How to print, and where the cache is."""
    add_format_option(parser)
    add_workspace_options(parser)
    parser.epilog = "The exit code is 5 where no sandbox gives every guarantee that --hermetic demands."


def run(arguments: Namespace) -> int:
    """Print the report; the exit code lets scripts ask whether --hermetic can be had."""
    from bldr.api.errors import ExitCode
    from bldr.cli.opening import open_session
    from bldr.cli.outcome import write_values
    from bldr.inspection import doctor
    from bldr.report.doctor import as_json, as_text, is_complete, measure

    with open_session(arguments, "doctor") as session:
        report = doctor(session)
        cache = measure(report.cache_dir)
    if arguments.format == "json":
        write_values(as_json(report, cache), sys.stdout)
    else:
        sys.stdout.write(as_text(report, cache))
    return ExitCode.OK if any(is_complete(probe) for probe in report.probes) else ExitCode.ISOLATION
