"""A process's own place in the store, and what tells the living from the dead: a lock that ends with its holder."""

import errno
from typing import NamedTuple

from bldr.store.errors import storage_error
from bldr.store.placement import spread
from bldr.store.removal import remove_tree
from bldr.system import fcntl, os

_LOCK = ".lock"


class Swept(NamedTuple):
    """What a look at all processes' places found: removed leftovers, and when the oldest living process came."""

    removed: int
    oldest_start_ns: int | None


class Presence:
    """Owns `staging/<token>/` and `staging/<token>.lock`; the kernel drops the lock when the process dies, however.

    The lock file is there before the directory and until after it, so that a directory without a lock is a leftover,
    and a lock that can be taken belongs to a dead process. `start_ns` is the file system's own time, comparable with
    the change times of blobs. Descriptors are closed on exec: a process that an action leaves behind keeps nothing.
    """

    def __init__(self, staging: str, owner: tuple[int, int] | None) -> None:
        """`owner` is who must own what is made, where that is not the caller. Raises CacheError."""
        self._staging = staging
        try:
            self._parent_fd = os.open(staging, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            spread(self._parent_fd)
            self._token, self._lock_fd = self._take_lock()
            os.mkdir(self._token, 0o711, dir_fd=self._parent_fd)
            self.path = os.path.join(staging, self._token)
            self.dir_fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            os.fchmod(self.dir_fd, 0o711)
            if owner:
                os.fchown(self.dir_fd, *owner)
                os.fchown(self._lock_fd, *owner)
            self.start_ns = os.fstat(self._lock_fd).st_mtime_ns
        except OSError as error:
            raise storage_error("write", staging, error) from error
        self._names = 0

    def temporary_name(self) -> str:
        """A name in `dir_fd` that nobody else uses; names that start with a dot are the store's."""
        self._names += 1
        return f".new-{self._names}"

    def now_ns(self) -> int:
        """The file system's clock, which stamps blobs: not the process's."""
        name = self.temporary_name()
        descriptor = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=self.dir_fd)
        try:
            return os.fstat(descriptor).st_mtime_ns
        finally:
            os.close(descriptor)
            os.unlink(name, dir_fd=self.dir_fd)

    def sweep(self) -> Swept:
        """Remove what dead processes left, and look who else is alive. This process does not count.

        Raises CacheError.
        """
        try:
            tokens = {name.removesuffix(_LOCK) for name in os.listdir(self._parent_fd)} - {self._token}
            starts = [self._sweep_one(token) for token in sorted(tokens)]
        except OSError as error:
            raise storage_error("remove leftovers in", self._staging, error) from error
        living = [start_ns for start_ns in starts if start_ns is not None]
        return Swept(len(starts) - len(living), min(living, default=None))

    def close(self) -> None:
        """Remove the directory with all that is in it. The presence is of no use any more."""
        os.close(self.dir_fd)  # first: not every system removes a directory that is open
        try:
            remove_tree(self._parent_fd, self._token)
            os.unlink(self._token + _LOCK, dir_fd=self._parent_fd)
        except FileNotFoundError:
            return  # somebody removed the whole cache
        finally:
            for descriptor in (self._lock_fd, self._parent_fd):
                os.close(descriptor)

    def _take_lock(self) -> tuple[str, int]:
        while True:
            token = f"{os.getpid()}-{os.urandom(6).hex()}"
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
            descriptor = os.open(token + _LOCK, flags, 0o600, dir_fd=self._parent_fd)
            # a sweep may see the file before it is locked: then it is removed, and another name is tried
            if _lock(descriptor) and os.fstat(descriptor).st_nlink:
                return token, descriptor
            os.close(descriptor)

    def _sweep_one(self, token: str) -> int | None:
        """The start of a living process; None after its place was removed because it is dead."""
        try:
            descriptor = os.open(token + _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._parent_fd)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ELOOP, errno.EISDIR):
                raise
            remove_tree(self._parent_fd, token)
            remove_tree(self._parent_fd, token + _LOCK)  # nothing, or not a file that we made
            return None
        try:
            if not _lock(descriptor):
                return os.fstat(descriptor).st_mtime_ns
            remove_tree(self._parent_fd, token)
            if os.fstat(descriptor).st_nlink:
                os.unlink(token + _LOCK, dir_fd=self._parent_fd)
            return None
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class DirectoryLock:
    """A lock on a whole store that many share while they pin blobs, and one holds alone while it removes some."""

    def __init__(self, path: str, owner: tuple[int, int] | None) -> None:
        try:
            self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            if owner:
                os.fchown(self._descriptor, *owner)
        except OSError as error:
            raise storage_error("write", path, error) from error

    def share(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def hold(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def release(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._descriptor)
