"""Landlock: a second wall behind the mounts. Whoever got round them would still write nowhere but where the plan says.

It also keeps signals and abstract sockets inside, the latter even on the host's network, and forbids whatever changes
mounts. Source: landlock(7), `include/uapi/linux/landlock.h`.
"""

from __future__ import annotations

import errno
import fcntl
import os

from bldr_linux import syscalls
from bldr_linux.root import StepError

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_CHANGE_DIR = 0x1FF0  # REMOVE_DIR to MAKE_SYM
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE  # the others are of directories only
_SCOPED = 0b11  # abstract UNIX sockets, signals

# The first version lets nobody move a file into another directory, which no build lives with.
_REFER_SINCE, _TRUNCATE_SINCE, _SCOPED_SINCE = 2, 3, 6


def restrict(rules: tuple[tuple[str, str], ...], abi: int) -> None:
    """Put this process and all that it starts under rules, (path, "read" or "write"); StepError where that fails.

    Everything else may not be written, and where any rule says "read" not be read either. ("", "queues") allows the
    message queues of the IPC namespace, and takes capabilities over it. The standard streams stay what they are, also
    when they are opened once more by name (`/dev/stdout`). Nothing happens where the kernel's Landlock (`abi`, as
    `syscalls.landlock_abi` says) is too old to live with. New privileges must be off already.
    """
    wall = Wall(rules, abi)
    wall.close_in()


def is_used(abi: int) -> bool:
    """Whether the kernel's Landlock can be lived with."""
    return abi >= _REFER_SINCE


def rights(rules: tuple[tuple[str, str], ...], abi: int) -> dict[str, int]:
    """What "read" and "write" stand for among these rules; the latter is all that a ruleset of them handles."""
    write = _WRITE_FILE | _CHANGE_DIR | _REFER | (_TRUNCATE if abi >= _TRUNCATE_SINCE else 0)
    reading = any(kind == "read" for _, kind in rules)
    return {"read": _READ, "write": write | (_READ if reading else 0)}


def scoped(abi: int) -> int:
    """What else a ruleset keeps inside."""
    return _SCOPED if abi >= _SCOPED_SINCE else 0


def of_stream(fd: int, handled: int) -> int:
    """The rights that a standard stream has anyway, as it was opened, among those that a ruleset handles."""
    reads = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    return (_READ if reads else -1) & handled & _OF_FILES


class Wall:
    """A ruleset while it is made: begun with the rules that are known, finished when the process is to be confined."""

    def __init__(self, rules: tuple[tuple[str, str], ...], abi: int, queues_fd: int = -1) -> None:
        """`queues_fd` is the directory of the message queues where the caller has it."""
        self._fd = -1
        self._queues_fd = queues_fd
        if not is_used(abi):
            return
        self._rights = rights(rules, abi)
        try:
            self._fd = syscalls.landlock_ruleset(self._rights["write"], 0, scoped(abi))
        except OSError as error:
            raise StepError.of("landlock", "", error) from error
        self._add(rules)

    def _add(self, rules: tuple[tuple[str, str], ...]) -> None:
        for path, kind in rules:
            try:
                if kind == "queues":
                    _allow_queues(self._fd, self._rights["write"], self._queues_fd)
                    continue
                fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
                _allow(self._fd, fd, self._rights[kind])
                os.close(fd)
            except OSError as error:
                raise StepError.of("landlock", path, error) from error

    def abandon(self) -> None:
        """Let go of a ruleset that confines nobody."""
        if self._fd >= 0:
            os.close(self._fd)

    def close_in(self, rules: tuple[tuple[str, str], ...] = ()) -> None:
        """Add the last rules and the standard streams, and confine this process."""
        if self._fd < 0:
            return
        self._add(rules)
        try:
            _allow_streams(self._fd, self._rights["write"])
            syscalls.landlock_restrict_self(self._fd)
        except OSError as error:
            raise StepError.of("landlock", "", error) from error
        os.close(self._fd)


def _allow(ruleset: int, fd: int, rights: int) -> None:
    try:
        syscalls.landlock_allow(ruleset, fd, rights)
    except OSError as error:
        # Rights that only a directory can have; asking what it is costs more than trying.
        if error.errno != errno.EINVAL:
            raise
        syscalls.landlock_allow(ruleset, fd, rights & _OF_FILES)


def _allow_queues(ruleset: int, rights: int, queues_fd: int) -> None:
    """POSIX message queues are files too, of a file system that every IPC namespace has and need not show."""
    if queues_fd >= 0:
        _allow(ruleset, queues_fd, rights)
        return
    try:
        fd = syscalls.new_mount("mqueue", {}, 0)
    except OSError as error:
        if error.errno == errno.ENODEV:  # the kernel has none
            return
        raise
    _allow(ruleset, fd, rights)
    os.close(fd)


def _allow_streams(ruleset: int, handled: int) -> None:
    for fd in (0, 1, 2):
        wanted = of_stream(fd, handled)
        if not wanted:
            continue
        try:
            syscalls.landlock_allow(ruleset, fd, wanted)
        except OSError as error:
            if error.errno != errno.EBADFD:  # a pipe or a socket: Landlock has nothing to do with those
                raise
