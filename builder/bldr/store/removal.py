"""Removing a directory tree that a stranger's process filled: by descriptor, following nothing."""

import contextlib
import errno
import stat

from bldr.store.errors import storage_error
from bldr.system import os

_DEPTH = 64
"""So many directories are held open at once; what lies deeper is moved up first."""
_ROUNDS = 100
"""So often a tree may be walked anew while somebody keeps adding to it."""
_RACED = (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)
"""Somebody put something else there, added to it or took it away between two of our steps."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def remove_tree(dir_fd: int, name: str) -> None:
    """Remove `name` in the directory `dir_fd`, whatever it is; nothing happens where there is nothing.

    Every step is relative to a descriptor and follows no link, so that whoever swaps entries meanwhile can lead it
    nowhere (CVE-2025-46415). Directories without permissions are opened up, other file systems are not entered, and
    neither depth nor length of a path is limited. Raises CacheError where something cannot be removed.
    """
    for _ in range(_ROUNDS):
        try:
            status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        except FileNotFoundError:
            return
        try:
            if stat.S_ISDIR(status.st_mode):
                _empty(dir_fd, name, status.st_dev)
                os.rmdir(name, dir_fd=dir_fd)
            else:
                os.unlink(name, dir_fd=dir_fd)
        except OSError as error:
            if error.errno not in _RACED:
                raise storage_error("remove", name, error) from error
    raise storage_error("remove", name, OSError(errno.ENOTEMPTY, "something keeps adding to it"))


def _empty(dir_fd: int, name: str, device: int) -> None:
    """Remove all that is in a directory. Walks depth first with a stack of descriptors instead of recursion."""
    top = _open_directory(dir_fd, name, device)
    waiting = [(top, os.listdir(top))]
    try:
        while waiting:
            current, names = waiting[-1]
            if not names:
                waiting.pop()
                if current != top:
                    os.close(current)
                continue
            entry = names[-1]
            if _removed(current, entry):
                names.pop()
            elif len(waiting) < _DEPTH:
                inside = _open_directory(current, entry, device)
                waiting.append((inside, os.listdir(inside)))
                # comes back to `entry` when it is empty, and removes it then
            else:
                waiting[0][1].insert(0, _move_up(current, entry, top, device))
                names.pop()
    finally:
        for descriptor, _ in waiting:
            if descriptor != top:
                os.close(descriptor)
        os.close(top)


def _removed(dir_fd: int, name: str) -> bool:
    """Remove a file, link or empty directory; False where it is a directory with something in it."""
    try:
        os.unlink(name, dir_fd=dir_fd)
        return True
    except FileNotFoundError:
        return True
    except OSError as error:
        # Linux says EISDIR, POSIX EPERM; EACCES comes from a directory of ours that somebody closed meanwhile
        if error.errno not in (errno.EISDIR, errno.EPERM):
            raise
    try:
        os.rmdir(name, dir_fd=dir_fd)
        return True
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False


def _open_directory(dir_fd: int, name: str, device: int) -> int:
    """A descriptor of a directory that we may list and change, on the file system `device`."""
    try:
        descriptor = os.open(name, _DIRECTORY, dir_fd=dir_fd)
    except PermissionError:
        _open_up(dir_fd, name)
        descriptor = os.open(name, _DIRECTORY, dir_fd=dir_fd)
    try:
        status = os.fstat(descriptor)
        if status.st_dev != device:
            raise OSError(errno.EXDEV, "another file system is mounted there")
        if status.st_mode & 0o700 != 0o700:
            with contextlib.suppress(PermissionError):  # root may go on without; others learn it at the next step
                os.fchmod(descriptor, 0o700)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _open_up(dir_fd: int, name: str) -> None:
    """chmod a directory that cannot be opened, without following a link that somebody puts there meanwhile."""
    path_only = getattr(os, "O_PATH", 0)
    if not path_only:
        os.chmod(name, 0o700, dir_fd=dir_fd, follow_symlinks=False)
        return
    descriptor = os.open(name, path_only | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        os.chmod(f"/proc/self/fd/{descriptor}", 0o700)
    finally:
        os.close(descriptor)


def _move_up(dir_fd: int, name: str, top: int, device: int) -> str:
    """Move a directory to the top of the tree, under a name that nobody can have guessed."""
    # a directory must be writable itself to be moved, since its `..` changes
    os.close(_open_directory(dir_fd, name, device))
    new_name = f".deep-{os.urandom(16).hex()}"
    os.rename(name, new_name, src_dir_fd=dir_fd, dst_dir_fd=top)
    return new_name
