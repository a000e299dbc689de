"""Trees of files: copies that an action may write to, and the removal of what it left, however it is nested."""

import os
import shutil
import stat

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_tree(source: str, destination: str) -> None:
    """Fill the existing directory `destination` with writable copies: time stamps, links and the x bit are kept."""
    directories = [(source, destination)]
    for above, target_above in directories:  # grows while it is walked
        with os.scandir(above) as entries:
            for entry in entries:
                target = os.path.join(target_above, entry.name)
                if entry.is_symlink():
                    os.symlink(os.readlink(entry.path), target)
                elif entry.is_dir():
                    os.mkdir(target)
                    os.chmod(target, 0o755)  # noqa: S103  # below a directory of ours; whatever the umask
                    directories.append((entry.path, target))
                else:
                    _copy_file(entry, target)
    # Last of all: making an entry changes the time stamp of its directory.
    for directory, target in directories:
        _keep_times(os.stat(directory), target)


def remove_tree(path: str) -> None:
    """Remove a directory with all that is in it, without following links and without recursion.

    An action may nest directories deeper than a path can be long, so each directory's own directories are moved up to
    the top before it goes. Raises OSError where something cannot be removed (another user's).
    """
    top = _open_whatever_its_mode(path)
    try:
        os.fchmod(top, 0o700)
        number = 0
        while names := os.listdir(top):
            for name in names:
                if not _unlink_unless_directory(name, top):
                    number = _hoist_directories(name, top, number)
                    os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(path)


def _open_whatever_its_mode(path: str) -> int:
    try:
        return os.open(path, _DIRECTORY)
    except PermissionError:
        if hasattr(os, "O_PATH"):  # of a descriptor, because Linux has no call that changes no link's target
            place = os.open(path, os.O_PATH | _DIRECTORY)
            try:
                os.chmod(f"/proc/self/fd/{place}", 0o700)
            finally:
                os.close(place)
        else:
            os.chmod(path, 0o700, follow_symlinks=False)
        return os.open(path, _DIRECTORY)


def _copy_file(entry: "os.DirEntry[str]", target: str) -> None:
    shutil.copyfile(entry.path, target)
    status = entry.stat()
    os.chmod(target, 0o755 if status.st_mode & 0o100 else 0o644)
    _keep_times(status, target)


def _keep_times(status: os.stat_result, target: str) -> None:
    os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))


def _unlink_unless_directory(name: str, above: int) -> bool:
    if stat.S_ISDIR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
        os.chmod(name, 0o700, dir_fd=above)  # to look into it, and to move it
        return False
    os.unlink(name, dir_fd=above)
    return True


def _hoist_directories(name: str, top: int, number: int) -> int:
    """Empty a directory; the next free number for names at the top."""
    directory = os.open(name, _DIRECTORY, dir_fd=top)
    try:
        for child in os.listdir(directory):
            if not _unlink_unless_directory(child, directory):
                number = _move_to_top(child, directory, top, number)
    finally:
        os.close(directory)
    return number


def _move_to_top(child: str, above: int, top: int, number: int) -> int:
    while True:
        number += 1
        try:
            os.rename(child, f".removing-{number}", src_dir_fd=above, dst_dir_fd=top)
        except OSError as error:
            if not os.access(f".removing-{number}", os.F_OK, dir_fd=top, follow_symlinks=False):
                raise error
        else:
            return number
