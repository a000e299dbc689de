"""`bldr run`: build one target and become its program."""

import os
import sys
from argparse import ArgumentParser, Namespace

from bldr.cli.options import add_build_options


def add_arguments(parser: ArgumentParser) -> None:
    """The target, its arguments, and the options of every build."""
    parser.add_argument("target", metavar="TARGET", help="an executable target")
    parser.add_argument("args", nargs="*", metavar="ARG", help="its arguments; those that begin with - go after --")
    add_build_options(parser)


def run(arguments: Namespace) -> int:
    """Build, then run the program where the user stands, with the user's own environment and terminal."""
    from bldr.api.errors import BldrError
    from bldr.cli.opening import open_session

    program_args = (*arguments.args, *arguments.after_dashes)
    with open_session(arguments, "run", patterns=(arguments.target,), run_args=program_args) as session:
        outcome = session.build()
    if outcome.exit_code:
        return outcome.exit_code
    if not outcome.executable:
        raise BldrError(
            f'the target "{arguments.target}" has no program to run', 'bldr query "kind(executable, //...)"'
        )
    return become(os.path.abspath(outcome.executable), program_args)


def become(program: str, args: tuple[str, ...]) -> int:
    """Replace this process, so that signals and the exit code are the program's own."""
    from bldr.api.errors import BldrError

    sys.stdout.flush()
    sys.stderr.flush()
    if not hasattr(os, "fork"):  # exec there starts a second process and lets the shell go on
        import subprocess

        return subprocess.call([program, *args])
    try:
        os.execv(program, [program, *args])  # noqa: S606 - no shell is the point
    except OSError as error:
        raise BldrError(f'cannot run "{program}": {error.strerror}') from error
