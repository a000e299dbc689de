"""A tree written by descriptor: nothing in it can lead a write out of it, and nothing in it stays writable."""

import stat
from collections.abc import Iterable

import xxhash

from bldr.fetch.manifest import Entry
from bldr.fetch.names import HostileArchiveError, Parts, shown
from bldr.system import os

MTIME_NS = 315_532_800 * 10**9  # 1980-01-01, the SOURCE_DATE_EPOCH of every action
_CHUNK_BYTES = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class TreeWriter:
    """Owns a fresh directory of mode 0700 until `finish` has given everything its final mode and time."""

    def __init__(self, path: str) -> None:
        os.mkdir(path, 0o700)
        self._root = os.open(path, _DIRECTORY)
        self._parent: Parts = ()
        self._parent_fd = os.dup(self._root)
        self._directories: set[Parts] = {()}
        self._contents: dict[Parts, str] = {}
        self._links: dict[Parts, str] = {}

    def close(self) -> None:
        os.close(self._parent_fd)
        os.close(self._root)

    def directory(self, parts: Parts) -> None:
        self._enter(parts)

    def file(self, parts: Parts, executable: bool, size_bytes: int, content: Iterable[bytes]) -> None:
        """Write a new file; raises HostileArchiveError unless `content` has just `size_bytes`."""
        parent_fd = self._enter(parts[:-1])
        checksum = xxhash.xxh3_128()
        written = 0
        fd = os.open(parts[-1], _NEW_FILE, 0o600, dir_fd=parent_fd)
        try:
            for chunk in content:
                checksum.update(chunk)
                written += len(chunk)
                if written > size_bytes:
                    break
                _write_all(fd, chunk)
            if written != size_bytes:
                raise HostileArchiveError(f"{shown('/'.join(parts))} has not the size that the archive says")
            os.fchmod(fd, 0o555 if executable else 0o444)
            os.utime(fd, ns=(MTIME_NS, MTIME_NS))
        finally:
            os.close(fd)
        self._contents[parts] = checksum.hexdigest()

    def hard_link(self, parts: Parts, target: Parts) -> None:
        """Give a file that was written before another name."""
        target_fd = os.dup(self._enter(target[:-1]))
        try:
            parent_fd = self._enter(parts[:-1])
            os.link(target[-1], parts[-1], src_dir_fd=target_fd, dst_dir_fd=parent_fd, follow_symlinks=False)
        finally:
            os.close(target_fd)
        self._contents[parts] = self._contents[target]

    def adopt(self, parts: Parts, path: str) -> None:
        """Give a file of the same file system, which nobody writes to any more, a name here."""
        parent_fd = self._enter(parts[:-1])
        os.link(path, parts[-1], dst_dir_fd=parent_fd, follow_symlinks=False)
        fd = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent_fd)
        try:
            os.fchmod(fd, 0o444)
            os.utime(fd, ns=(MTIME_NS, MTIME_NS))
            checksum = xxhash.xxh3_128()
            while chunk := os.read(fd, _CHUNK_BYTES):
                checksum.update(chunk)
        finally:
            os.close(fd)
        self._contents[parts] = checksum.hexdigest()

    def link(self, parts: Parts, target: str) -> None:
        parent_fd = self._enter(parts[:-1])
        os.symlink(target, parts[-1], dir_fd=parent_fd)
        os.utime(parts[-1], ns=(MTIME_NS, MTIME_NS), dir_fd=parent_fd, follow_symlinks=False)
        self._links[parts] = target

    def finish(self) -> tuple[Entry, ...]:
        """Give directories their mode and time, the deepest first, and describe all that was written."""
        for parts in sorted(self._directories, key=len, reverse=True):
            fd = self._enter(parts)
            os.fchmod(fd, 0o755)
            os.utime(fd, ns=(MTIME_NS, MTIME_NS))
        return tuple(self._describe(sorted({*self._directories, *self._contents, *self._links})))

    def _describe(self, paths: Iterable[Parts]) -> Iterable[Entry]:
        for parts in paths:
            if parts:
                status = os.stat(parts[-1], dir_fd=self._enter(parts[:-1]), follow_symlinks=False)
            else:
                status = os.fstat(self._root)
            yield Entry.of("/".join(parts), status, self._links.get(parts) or self._contents.get(parts, ""))

    def _enter(self, parts: Parts) -> int:
        """A descriptor of this directory, made where it is missing; valid until the next call."""
        if parts == self._parent:
            return self._parent_fd
        fd = os.dup(self._root)
        for length, part in enumerate(parts, 1):
            if parts[:length] not in self._directories:
                os.mkdir(part, 0o700, dir_fd=fd)
                self._directories.add(parts[:length])
            inner = os.open(part, _DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = inner
        os.close(self._parent_fd)
        self._parent, self._parent_fd = parts, fd
        return fd


def remove_tree(path: str) -> None:
    """Remove a tree by descriptor, following no link; a path that is not there is fine."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(path)
        return
    _remove_inside(os.open(path, _DIRECTORY))
    os.rmdir(path)


def _remove_inside(fd: int) -> None:
    try:
        os.fchmod(fd, 0o700)
        with os.scandir(fd) as entries:
            names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_directory in names:
            if is_directory:
                _remove_inside(os.open(name, _DIRECTORY, dir_fd=fd))
                os.rmdir(name, dir_fd=fd)
            else:
                os.unlink(name, dir_fd=fd)
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
