"""The action's own copy of its tree, and the removal of what it left, however deep that is nested."""

import os
import shutil
import stat

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def copy(source: str, destination: str) -> None:
    """Fill the empty directory `destination` with copies that may be written to, of the same times."""
    shutil.copytree(source, destination, symlinks=True, copy_function=_copy_file, dirs_exist_ok=True)


def _copy_file(source: str, destination: str) -> None:
    shutil.copyfile(source, destination)
    found = os.stat(source)
    os.chmod(destination, 0o755 if found.st_mode & stat.S_IXUSR else 0o644)
    os.utime(destination, ns=(found.st_mtime_ns, found.st_mtime_ns))


def remove(path: str) -> None:
    """Remove a directory and all in it: by descriptor, following no link.

    A directory's entries are moved up beside it before it goes, so the depth that an action chose costs nothing.
    """
    top = _open_whatever_its_mode(path)
    try:
        count = 0
        while names := os.listdir(top):
            for name in names:
                count = _remove_entry(top, name, count)
    finally:
        os.close(top)
    os.rmdir(path)


def _open_whatever_its_mode(path: str) -> int:
    place = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.chmod(f"/proc/self/fd/{place}", 0o700)
    finally:
        os.close(place)
    return os.open(path, _OPEN)


def _remove_entry(top: int, name: str, count: int) -> int:
    if not stat.S_ISDIR(os.lstat(name, dir_fd=top).st_mode):
        os.unlink(name, dir_fd=top)
        return count
    os.chmod(name, 0o700, dir_fd=top)
    directory = os.open(name, _OPEN, dir_fd=top)
    try:
        for child in os.listdir(directory):
            if stat.S_ISDIR(os.lstat(child, dir_fd=directory).st_mode):
                os.chmod(child, 0o700, dir_fd=directory)  # moving a directory writes its `..`
                count += 1
                while _exists(top, f".{count}"):
                    count += 1
                os.rename(child, f".{count}", src_dir_fd=directory, dst_dir_fd=top)
            else:
                os.unlink(child, dir_fd=directory)
    finally:
        os.close(directory)
    os.rmdir(name, dir_fd=top)
    return count


def _exists(directory: int, name: str) -> bool:
    return os.access(name, os.F_OK, dir_fd=directory, follow_symlinks=False)
