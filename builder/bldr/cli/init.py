"""`bldr init`: write a Builderfile for the sources that are there, and ask nothing."""

import os
import sys
from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Where, and whether a file that is there may go."""
    parser.add_argument("-C", "--directory", metavar="DIR", help="write for DIR instead of the current directory")
    parser.add_argument("--force", action="store_true", help="replace the Builderfile that is there")
    parser.add_argument("--print", action="store_true", dest="only_print", help="print it and write nothing")


def run(arguments: Namespace) -> int:
    """Look at the sources, write the file and print what it says."""
    from bldr.api.errors import BldrError
    from bldr.cli.init_sources import builderfile, survey
    from bldr.load.syntax import BUILDERFILE

    directory = os.getcwd()
    path = os.path.join(directory, BUILDERFILE)
    if os.path.lexists(path) and not arguments.force and not arguments.only_print:
        raise BldrError(
            f"there is a {BUILDERFILE} already: {path}", "--force replaces it, --print shows what would be written"
        )
    found = survey(directory)
    text = builderfile(os.path.basename(directory), found, is_root=not _inside_workspace(directory))
    if not arguments.only_print:
        _replace(path, text)
        sys.stderr.write(f"wrote {path}\n")
    for name in found.left_out:
        sys.stderr.write(f"left out {name!r}: its name cannot stand in a {BUILDERFILE}\n")
    sys.stdout.write(text)
    return 0


def _inside_workspace(directory: str) -> bool:
    from bldr.api.errors import WorkspaceError
    from bldr.load.workspace import find_root

    parent = os.path.dirname(directory)
    try:
        return parent != directory and bool(find_root(parent))
    except WorkspaceError:
        return False


def _replace(path: str, text: str) -> None:
    """Whole or not at all; raises BldrError."""
    from bldr.api.errors import BldrError

    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:
        raise BldrError(f"cannot write {path}: {error.strerror}") from error
    finally:
        if os.path.lexists(temporary):
            os.unlink(temporary)
