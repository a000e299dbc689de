"""An action's own tree on a Windows disk: copies of what was staged, its end, and neither ever through a link."""

import contextlib
import os
import shutil
import stat

from bldr_windows.names import clash, complaint, long_path
from bldr_windows.win32 import Win32


class UnfitTreeError(Exception):
    """A staged path that no Windows disk can hold; the message names it."""


class ClosedDirectoryError(Exception):
    """A directory that actions cannot be let into; the message names it."""


def admit(system: Win32, directory: str, *, is_low: bool) -> None:
    """Let actions, whose tokens are of low integrity if `is_low`, read and write an empty directory of bldr's own.

    What an elevated process makes belongs to the administrators, of whom no action's token is one.
    Raises ClosedDirectoryError.
    """
    try:
        system.grant_user(directory)
        if is_low:  # nothing is kept from others by a label, which not every user may set
            system.label_low(directory)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise ClosedDirectoryError(f"actions cannot be let into the directory {directory}: {why}") from error


def copy_tree(source: str, destination: str) -> None:
    """Fill the existing directory `destination` with copies that may not be written to; time stamps are kept.

    Raises UnfitTreeError, and OSError.
    """
    directories = [""]
    for above in directories:  # grows while it is walked
        names: list[str] = []
        with os.scandir(_join(source, above)) as entries:
            for entry in entries:
                path = f"{above}/{entry.name}" if above else entry.name
                why = complaint(entry.name) or ("is a link" if _is_link(entry) else "")
                if why:
                    raise UnfitTreeError(f"the input {path} cannot be there: {why}")
                names.append(entry.name)
                target = _join(destination, path)
                if entry.is_dir(follow_symlinks=False):
                    os.mkdir(target)
                    directories.append(path)
                else:
                    shutil.copyfile(entry.path, target)
                    _keep_times(entry.stat(), target)
                    os.chmod(target, stat.S_IREAD)  # the attribute: who means to write has to say so
        both = clash(names)
        if both is not None:
            raise UnfitTreeError(f"the inputs {both[0]} and {both[1]} in /{above} are one file on Windows")
    # Last of all: making an entry changes the time stamp of its directory.
    for above in directories:
        _keep_times(os.stat(_join(source, above)), _join(destination, above))


def remove_tree(path: str) -> None:
    """Remove a directory with all that is in it; of junctions and links only themselves. Raises OSError."""
    directories = [long_path(path)]
    for above in directories:  # grows while it is walked
        with os.scandir(above) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False) and not _is_link(entry):
                    directories.append(entry.path)
                else:
                    _remove(entry)
    for directory in reversed(directories):
        _remove_directory(directory)


def _join(root: str, path: str) -> str:
    return long_path(os.path.join(root, *path.split("/")) if path else root)


def _is_link(entry: "os.DirEntry[str]") -> bool:
    """Links, junctions and whatever else leads elsewhere."""
    attributes = getattr(entry.stat(follow_symlinks=False), "st_file_attributes", 0)
    return entry.is_symlink() or bool(attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT)


def _remove(entry: "os.DirEntry[str]") -> None:
    if entry.is_dir(follow_symlinks=False):  # a junction
        _remove_directory(entry.path)
        return
    with contextlib.suppress(PermissionError):
        os.unlink(entry.path)
        return
    os.chmod(entry.path, stat.S_IWRITE)
    os.unlink(entry.path)


def _remove_directory(path: str) -> None:
    with contextlib.suppress(PermissionError):
        os.rmdir(path)
        return
    os.chmod(path, stat.S_IWRITE | stat.S_IEXEC)  # the attribute, which keeps directories from being removed too
    os.rmdir(path)


def _keep_times(status: os.stat_result, target: str) -> None:
    with contextlib.suppress(PermissionError):  # of a directory where the system does not let us
        os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))
