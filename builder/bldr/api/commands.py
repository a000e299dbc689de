"""A command of the command line: `bldr NAME ...`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


class Command(NamedTuple):
    """`add_arguments` and `run` are called only for the command that was asked for, so they may import what they need.

    `run` gets the parsed arguments and returns the process's exit code; a `BldrError` that it raises is printed.
    """

    name: str
    summary: str
    add_arguments: Callable[["ArgumentParser"], None]
    run: Callable[["Namespace"], int]
