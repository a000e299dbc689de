"""Counts what a launch has written: by descriptor, in slices, whatever it does to its directories meanwhile."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_HELD = 200  # directories on the way down that stay open; the others are found again by ".."
_ENTRIES = 500  # between two chances to do something else
_BLOCK_BYTES = 512
_LARGE_BYTES = 1 << 16
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Written:
    """One walk: `sizes` and `occupied` in bytes, of all that was found so far below `paths`.

    Follows no link. What goes away meanwhile counts as nothing, and what cannot be listed is opened up for the moment:
    it belongs to the user that we are, and a closed door must not be a place to hide.
    """

    def __init__(self, paths: tuple[str, ...]) -> None:
        self.sizes = 0
        self.occupied = 0
        self._seen: set[tuple[int, int]] = set()
        self._steps = self._all(paths)

    def step(self) -> bool:
        """Go on for a moment; whether there is more to do."""
        return next(self._steps, True) is None

    def close(self) -> None:
        self._steps.close()  # type: ignore[attr-defined]  # a generator, which closes what it holds

    def _all(self, paths: tuple[str, ...]) -> Iterator[None]:
        for path in paths:
            try:
                top = os.open(path, _LOOK)
            except OSError:
                continue
            try:
                fd = _listed(top) if self._count(os.fstat(top)) else -1
            finally:
                os.close(top)
            if fd >= 0:
                yield from self._below(fd)

    def _below(self, fd: int) -> Iterator[None]:
        stack = [_Directory(fd)]
        try:
            yield from self._scan(stack[-1])
            while True:
                here = stack[-1]
                if here.names:
                    fd = _open_below(here.fd, here.names.pop())
                    if fd < 0:
                        continue
                    stack.append(_Directory(fd))
                    if len(stack) > _HELD:
                        stack[-_HELD].close()
                    yield from self._scan(stack[-1])
                elif len(stack) == 1 or not stack[-2].is_reached_from(here.fd):
                    return
                else:
                    stack.pop().close()
        finally:
            for directory in stack:
                directory.close()

    def _scan(self, directory: _Directory) -> Iterator[None]:
        """Count the entries of one directory; no more of them are kept than the names of directories."""
        try:
            entries = os.scandir(directory.fd)
        except OSError:
            return
        with entries:
            for number, entry in enumerate(entries, 1):
                if number % _ENTRIES == 0:
                    yield None
                status = _status(directory.fd, entry.name)
                if status is not None and self._count(status):
                    directory.names.append(entry.name)
        yield None

    def _count(self, status: os.stat_result) -> bool:
        """Add it to the sums; whether it is a directory that was not seen before."""
        # What has several names, or is moved while we walk, counts once; of small files we do not care.
        is_directory = stat.S_ISDIR(status.st_mode)
        if is_directory or status.st_nlink > 1 or status.st_size >= _LARGE_BYTES:
            identity = (status.st_dev, status.st_ino)
            if identity in self._seen:
                return False
            self._seen.add(identity)
        self.occupied += status.st_blocks * _BLOCK_BYTES
        if stat.S_ISREG(status.st_mode):
            self.sizes += status.st_size
        return is_directory


class _Directory:
    """One on the way down: its descriptor as long as that is open, and the directories in it to be seen still."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.names: list[str] = []
        status = os.fstat(fd)
        self._identity = (status.st_dev, status.st_ino)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def is_reached_from(self, below: int) -> bool:
        """Open it again from a directory in it, where it was closed; False where that has been moved away."""
        if self.fd >= 0:
            return True
        fd = _open_below(below, "..")
        if fd < 0:
            return False
        self.fd = fd
        status = os.fstat(fd)
        return (status.st_dev, status.st_ino) == self._identity


def _status(directory: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except PermissionError:
        mode = _open_up(directory)
    except OSError:
        return None
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return None
    finally:
        _close_again(directory, mode)


def _open_below(directory: int, name: str) -> int:
    """A directory in another one, to be listed; -1 where that cannot be."""
    try:
        return os.open(name, _LIST, dir_fd=directory)
    except PermissionError:
        mode = _open_up(directory)
    except OSError:
        return -1
    try:
        look = os.open(name, _LOOK | os.O_DIRECTORY, dir_fd=directory)
    except OSError:
        return -1
    finally:
        _close_again(directory, mode)
    try:
        return _listed(look)
    finally:
        os.close(look)


def _listed(look: int) -> int:
    """A descriptor to list a directory that was opened as a place only; -1 where that cannot be."""
    entry = f"/proc/self/fd/{look}"
    try:
        return os.open(entry, _LIST & ~os.O_NOFOLLOW)
    except PermissionError:
        mode = _open_up(look)
    except OSError:
        return -1
    try:
        return os.open(entry, _LIST & ~os.O_NOFOLLOW)
    except OSError:
        return -1
    finally:
        _close_again(look, mode)


def _open_up(directory: int) -> int:
    """Let the owner in for a moment; the mode that it had, -1 where nothing was changed."""
    mode = stat.S_IMODE(os.fstat(directory).st_mode)
    if mode & 0o700 == 0o700:
        return -1
    try:
        os.chmod(f"/proc/self/fd/{directory}", mode | 0o700)
    except OSError:
        return -1
    return mode


def _close_again(directory: int, mode: int) -> None:
    if mode < 0:
        return
    try:  # noqa: SIM105 - contextlib is not imported here
        os.chmod(f"/proc/self/fd/{directory}", mode)
    except OSError:  # it belongs to somebody else by now
        pass
