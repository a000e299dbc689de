"""The calls of the `os` module that take descriptors of directories, made of calls that take paths.

For systems whose `os` has none. The directory is asked for its path at each call, so that one that was renamed is still
the one that is meant. Between that and the call somebody could swap a directory above for a link: what these calls do
not follow is a link in the last place.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Native(Protocol):
    """What a system has: the same by paths, as POSIX has it, and the way from a descriptor to a path."""

    def path_of(self, descriptor: int) -> str: ...

    def open(self, path: str, flags: int, mode: int) -> int: ...

    def stat(self, path: str) -> os.stat_result: ...

    def lstat(self, path: str) -> os.stat_result: ...

    def fstat(self, descriptor: int) -> os.stat_result: ...

    def chmod(self, path: str, mode: int) -> None: ...

    def utime(self, path: str, ns: tuple[int, int] | None) -> None: ...

    def unlink(self, path: str) -> None: ...

    def rmdir(self, path: str) -> None: ...

    def rename(self, source: str, destination: str) -> None: ...

    def readlink(self, path: str) -> str: ...

    def scandir(self, path: str) -> Any: ...


class ByPath:
    """Stands in for those functions of `os` that differ; named and called as they are."""

    def __init__(self, native: Native) -> None:
        self._native = native
        self.fstat = native.fstat

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        return self._native.open(self._place(path, dir_fd), flags, mode)

    def stat(self, path: Any, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
        if isinstance(path, int):
            return self._native.fstat(path)
        place = self._place(path, dir_fd)
        return self._native.stat(place) if follow_symlinks else self._native.lstat(place)

    def lstat(self, path: Any, *, dir_fd: int | None = None) -> os.stat_result:
        return self._native.lstat(self._place(path, dir_fd))

    def chmod(self, path: Any, mode: int, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> None:
        place = self._place(path, dir_fd)
        if not follow_symlinks and stat.S_ISLNK(self._native.lstat(place).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), place)
        self._native.chmod(place, mode)

    def fchmod(self, descriptor: int, mode: int) -> None:
        self._native.chmod(self._native.path_of(descriptor), mode)

    def utime(
        self,
        path: Any,
        times: tuple[float, float] | None = None,
        *,
        ns: tuple[int, int] | None = None,
        dir_fd: int | None = None,
        follow_symlinks: bool = True,
    ) -> None:
        place = self._place(path, dir_fd)
        if not follow_symlinks and stat.S_ISLNK(self._native.lstat(place).st_mode):
            return  # nothing that could be asked for here looks at the times of links
        if times is not None:
            ns = (int(times[0] * 10**9), int(times[1] * 10**9))
        self._native.utime(place, ns)

    def mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        os.mkdir(self._place(path, dir_fd), mode)

    def rmdir(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._native.rmdir(self._place(path, dir_fd))

    def unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._native.unlink(self._place(path, dir_fd))

    def rename(self, src: Any, dst: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        self._native.rename(self._place(src, src_dir_fd), self._place(dst, dst_dir_fd))

    def link(
        self,
        src: Any,
        dst: Any,
        *,
        src_dir_fd: int | None = None,
        dst_dir_fd: int | None = None,
        follow_symlinks: bool = True,
    ) -> None:
        source, destination = self._place(src, src_dir_fd), self._place(dst, dst_dir_fd)
        with _told(destination):
            if not follow_symlinks and stat.S_ISLNK(self._native.lstat(source).st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), source)
            os.link(source, destination)

    def symlink(self, src: Any, dst: Any, target_is_directory: bool = False, *, dir_fd: int | None = None) -> None:
        os.symlink(os.fsdecode(src).replace("/", os.sep), self._place(dst, dir_fd), target_is_directory)

    def readlink(self, path: Any, *, dir_fd: int | None = None) -> str:
        return self._native.readlink(self._place(path, dir_fd))

    def access(
        self,
        path: Any,
        mode: int,
        *,
        dir_fd: int | None = None,
        effective_ids: bool = False,  # noqa: ARG002 - there is one
        follow_symlinks: bool = True,
    ) -> bool:
        place = self._place(path, dir_fd)
        return os.access(place, mode) if follow_symlinks else os.path.lexists(place)

    def listdir(self, path: Any = ".") -> list[str]:
        return os.listdir(self._place(path, None))

    def scandir(self, path: Any = ".") -> Any:
        return self._native.scandir(self._place(path, None))

    def truncate(self, path: Any, length: int) -> None:
        os.truncate(path, length)

    def fchown(self, descriptor: int, uid: int, gid: int) -> None:
        """Nothing: where there are no descriptors of directories, there are no numbers of users either."""

    def chown(self, path: Any, uid: int, gid: int, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> None:
        """Nothing, as `fchown`."""

    def _place(self, path: Any, dir_fd: int | None) -> str:
        """The path of `path`: of a descriptor, below the directory `dir_fd`, or as it is."""
        if isinstance(path, int):
            return self._native.path_of(path)
        name: str = os.fsdecode(path)
        if dir_fd is None:
            return name
        # of Windows' own separators alone: what it gives for a descriptor is taken literally
        return os.path.join(self._native.path_of(dir_fd), name.replace("/", os.sep))


@contextmanager
def _told(path: str) -> Iterator[None]:
    """A name that is taken is told of as POSIX has it."""
    try:
        yield
    except FileExistsError as error:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from error
