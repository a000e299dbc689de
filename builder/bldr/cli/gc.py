"""`bldr gc`: shrink the cache to a size, or to what was used lately. Needs no workspace."""

import sys
from argparse import ArgumentParser, Namespace

from bldr.cli.options import add_format_option, add_workspace_options, read_size, read_time


def add_arguments(parser: ArgumentParser) -> None:
    """How much may stay, and for how long after its last use."""
    parser.add_argument("--max-size", metavar="SIZE", type=read_size, help="keep at most this much, as 10G")
    parser.add_argument("--max-age", metavar="TIME", type=read_time, help="keep what was used within it, as 30d")
    add_format_option(parser)
    add_workspace_options(parser)


def run(arguments: Namespace) -> int:
    """Collect, then say what was freed. Without a bound only what dead processes left is removed."""
    from bldr.cli.opening import open_session
    from bldr.cli.outcome import write_values
    from bldr.load.units import parse_duration, parse_size
    from bldr.report.text import count, size

    max_size_bytes = None if arguments.max_size is None else parse_size(arguments.max_size)
    max_age_s = None if arguments.max_age is None else parse_duration(arguments.max_age)
    with open_session(arguments, "gc") as session:
        report = session.gc(max_size_bytes=max_size_bytes, max_age_s=max_age_s)
    if arguments.format == "json":
        write_values(report._asdict(), sys.stdout)
        return 0
    sys.stdout.write(
        f"removed {count(report.results, 'result')} and {count(report.blobs, 'blob')}, {size(report.freed_bytes)}; "
        f"kept {count(report.kept_results, 'result')} and {count(report.kept_blobs, 'blob')}, "
        f"{size(report.kept_bytes)}\n"
    )
    return 0
