"""The command `bldr sandbox`: the stand-in under that name."""

from __future__ import annotations

import os
import sys
from argparse import REMAINDER

from bldr.api import BldrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import NoReturn

NAME = "sandbox"


def add_arguments(parser: ArgumentParser) -> None:
    """Take every word as it is, also those that look like options."""
    parser.prefix_chars = "\0"  # no word on a command line begins so
    parser.add_argument("words", nargs=REMAINDER)


def run(arguments: Namespace) -> NoReturn:
    """Become the stand-in: a new program, so that nothing of this one is inherited by the command."""
    from bldr_linux.bubblewrap import again, environment

    environment.forget_coercion()
    argv = again.argv(f"bldr {NAME}", [os.fsencode(word) for word in arguments.words])
    try:
        os.execv(sys.executable, argv)  # noqa: S606 - the argument vector is what is wanted
    except OSError as error:
        raise BldrError(f"cannot start {sys.executable}: {error.strerror}") from error
