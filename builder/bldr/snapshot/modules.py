"""What this installation consists of, so that a change of bldr, of a plugin or of what they load shows in a stat."""

import os
import sys

from bldr.snapshot.files import SETTLED_NS

_METADATA = (".dist-info", ".egg-info", ".egg-link", ".egg")
_INSTALLED = ("site-packages", "dist-packages")


def modules_and_paths() -> tuple[list[str], list[str], list[str]]:
    """Files, directories, and paths at which nothing is.

    Files are those of the modules that this process loaded, but for the standard library, which goes with the
    interpreter; directories are where distributions are looked for, and those that describe one, so that nothing is
    installed, removed or replaced unseen.
    """
    files = {os.path.realpath(sys.executable): None}
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path and not _is_standard(path):
            files[os.path.abspath(path)] = None
    directories: list[str] = []
    absent: list[str] = []
    for path in dict.fromkeys(os.path.abspath(entry) for entry in sys.path):
        if os.path.isdir(path):
            directories.append(path)
            _describe(path, files, directories)
        elif os.path.isfile(path):
            files[path] = None
        else:
            absent.append(path)
    return list(files), directories, absent


def are_older(than_ns: int) -> bool:
    """Whether nothing of it is newer: a process that began then runs what one would that begins now."""
    files, directories, _ = modules_and_paths()
    try:
        states = [os.stat(path) for path in (*files, *directories)]
    except OSError:
        return False
    return all(max(state.st_mtime_ns, state.st_ctime_ns) <= than_ns - SETTLED_NS for state in states)


def _is_standard(path: str) -> bool:
    library = os.path.dirname(os.__file__)
    return path.startswith(f"{library}/") and not path.startswith(tuple(f"{library}/{name}/" for name in _INSTALLED))


def _describe(path: str, files: dict[str, None], directories: list[str]) -> None:
    with os.scandir(path) as entries:
        for entry in entries:
            if not entry.name.endswith(_METADATA):
                continue
            if not entry.is_dir():
                files[entry.path] = None
                continue
            directories.append(entry.path)
            points = os.path.join(entry.path, "entry_points.txt")
            if os.path.isfile(points):
                files[points] = None
