"""`bldr init`: write a Builderfile for the sources that are there, or a whole package for a plugin; ask nothing."""

import os
import sys
from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """What to write, where, and whether a file that is there may go."""
    parser.usage = "bldr init [-C DIR] [--force | --print]\n       bldr init [-C DIR] plugin NAME"
    parser.add_argument(
        "what", nargs="*", metavar="plugin NAME", help="write a package with a plugin for language NAME"
    )
    parser.add_argument("-C", "--directory", metavar="DIR", help="write for DIR instead of the current directory")
    parser.add_argument("--force", action="store_true", help="replace the Builderfile that is there")
    parser.add_argument("--print", action="store_true", dest="only_print", help="print it and write nothing")


def run(arguments: Namespace) -> int:
    """Write a plugin where one is asked for; else look at the sources, write the file and print what it says."""
    if what := (*arguments.what, *arguments.after_dashes):
        return _init_plugin(what, forced=arguments.force or arguments.only_print)
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


def _init_plugin(what: tuple[str, ...], *, forced: bool) -> int:
    from bldr.api.errors import BldrError
    from bldr.cli.init_package import NEXT, write_package

    if what[0] != "plugin" or len(what) != 2:
        raise BldrError(f'"{" ".join(what)}" is nothing that bldr init writes', "bldr init, or bldr init plugin NAME")
    if forced:
        raise BldrError("a plugin is written into a folder of its own", "leave out --force and --print")
    directory, names = write_package(os.getcwd(), what[1])
    sys.stderr.write(f"wrote {os.path.join(os.getcwd(), directory)}\n")
    sys.stdout.write("".join(f"{directory}/{name}\n" for name in names))
    sys.stderr.write(NEXT.format(directory=directory))
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
