"""Where programs are on this machine: the directories of PATH, and what a command's name is there."""

import os

EXECUTABLE_SUFFIX = "" if hasattr(os, "fork") else ".exe"
"""What ends the names of programs on the machine that bldr runs on."""


def directories_of(search_path: str) -> tuple[str, ...]:
    """The absolute directories of a variable such as PATH, in order."""
    return tuple(path for path in search_path.split(os.pathsep) if os.path.isabs(path))


def program_in(directory: str, name: str) -> str:
    """The path of the program that is called `name` in a directory; "" where there is none."""
    path = os.path.join(directory, name)
    if not path.endswith(EXECUTABLE_SUFFIX):
        path += EXECUTABLE_SUFFIX
    return path if os.path.isfile(path) and os.access(path, os.X_OK) else ""
