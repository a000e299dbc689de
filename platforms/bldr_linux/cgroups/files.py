"""Reads and writes control files unbuffered; every OSError carries the file's path. Imports nothing but os."""

from __future__ import annotations

import os

_MOST_BYTES = 65536


def write(path: str, value: str | int) -> None:
    """Write a value. A buffered file would hide the kernel's answer until it is closed."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, str(value).encode())
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(fd)


def read(path: str) -> str:
    """All that a control file says."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _all(fd)
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(fd)


def _all(fd: int) -> str:
    """cgroup.procs of a large group takes several reads."""
    parts = []
    while part := os.read(fd, _MOST_BYTES):
        parts.append(part)
    return b"".join(parts).decode()


def number_after(text: str, key: str) -> int:
    """The value of one key of a flat-keyed file ("oom_kill 3"); 0 where the kernel does not have it."""
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return 0


class Counters:
    """Control files of one group, opened when they are first asked for and kept open: again costs one call."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._fds: dict[str, int] = {}
        self._writing: dict[str, int] = {}

    def text(self, name: str) -> str | None:
        """What a file says now; None where this kernel has no such file."""
        fd = self._fds.get(name)
        if fd is None:
            try:
                fd = os.open(f"{self._directory}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                fd = -1
            self._fds[name] = fd
        return None if fd < 0 else os.pread(fd, _MOST_BYTES, 0).decode()

    def number(self, name: str) -> int | None:
        """The single number of a file; None where this kernel has no such file."""
        text = self.text(name)
        return None if text is None else int(text)

    def count(self, name: str, key: str) -> int:
        """One key of a flat-keyed file, 0 where the kernel does not have it."""
        return number_after(self.text(name) or "", key)

    def has(self, name: str) -> bool:
        """Whether this kernel has such a file."""
        return self._fds.get(name, -1) >= 0 or self.text(name) is not None

    def reset(self, name: str) -> None:
        """Start a peak anew from what is used now."""
        path = f"{self._directory}/{name}"
        if name not in self._writing:
            self._writing[name] = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(self._writing[name], b"0", 0)
        except OSError as error:
            error.filename = path
            raise

    def close(self) -> None:
        """Close every file."""
        for fd in (*self._fds.values(), *self._writing.values()):
            if fd >= 0:
                os.close(fd)
        self._fds.clear()
        self._writing.clear()
