"""Where below cgroup v2 a group with controllers can be made: our own group, one above it, or our own after its
processes have moved to a leaf (a group with controllers for its children may hold no process itself)."""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from typing import NamedTuple

from bldr_linux.cgroups import files
from bldr_linux.cgroups.hierarchies import WANTED

MEMBERS = "bldr-members"
_MOVING_ROUNDS = 20
_LOCK_TRIES, _LOCK_PAUSE_S = 200, 0.01


class _Candidate(NamedTuple):
    directory: str
    depth: int
    controllers: frozenset[str]
    moves: bool
    delegated: bool


def choose(own: str, root: str) -> str | None:
    """The directory to make groups in, with what can be enabled for its children enabled; None without permission.

    The one with the most controllers, then the deepest: a group above ours may allow more than ours is meant to have.
    """
    candidates = sorted(
        _candidates(own, root),
        key=lambda one: (-len(one.controllers), one.moves and not one.delegated, -one.depth),
    )
    for candidate in candidates:
        with contextlib.suppress(OSError), _locked(candidate.directory, wait=candidate.moves):
            if candidate.moves:
                _move_all(candidate.directory, f"{candidate.directory}/{MEMBERS}")
            enable(candidate.directory)
            return candidate.directory
    return None


def _candidates(own: str, root: str) -> Iterator[_Candidate]:
    directory = own
    while directory == root or directory.startswith(f"{root}/"):
        # To move a process from one group to another, both must have an ancestor that the mover may write to.
        if _may_write(directory) and _may_write(f"{directory}/cgroup.procs"):
            with contextlib.suppress(OSError):
                yield _candidate(directory, own, root)
        directory = os.path.dirname(directory)


def _candidate(directory: str, own: str, root: str) -> _Candidate:
    has = _controllers(f"{directory}/cgroup.subtree_control")
    could = _controllers(f"{directory}/cgroup.controllers")
    # The file is missing in the kernel's own root group, which may hold processes and distribute controllers.
    is_busy = os.path.exists(f"{directory}/cgroup.type") and bool(_members(directory))
    delegated = _is_delegated(directory)
    moves = is_busy and could != has and directory == own and (delegated or _is_ours(own, root))
    if not _may_write(f"{directory}/cgroup.subtree_control") or (is_busy and not moves):
        could, moves = has, False
    return _Candidate(directory, directory.count("/"), could, moves, delegated)


def _is_ours(own: str, root: str) -> bool:
    """Whether moving everybody in our group bothers nobody else."""
    in_container = own == root
    given = os.stat(own).st_uid == os.geteuid() != 0
    return in_container or given or _members(own) == [os.getpid()]


def _is_delegated(directory: str) -> bool:
    """As systemd marks it: whoever is in there may arrange it."""
    for name in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(directory, name) == b"1":
                return True
    return False


def enable(directory: str) -> frozenset[str]:
    """Give children every controller that can be given to them; those that they have then."""
    path = f"{directory}/cgroup.subtree_control"
    for name in sorted(_controllers(f"{directory}/cgroup.controllers") - _controllers(path)):
        # One by one: a controller that cannot be enabled must not take the others along.
        with contextlib.suppress(OSError):
            files.write(path, f"+{name}")
    return _controllers(path)


def _move_all(source: str, destination: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(destination, 0o755)
    for _ in range(_MOVING_ROUNDS):
        members = _members(source)
        if not members:
            return
        for pid in members:
            try:
                files.write(f"{destination}/cgroup.procs", pid)
            except OSError as error:
                if error.errno != errno.ESRCH:
                    raise
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), source)


def give_back(directory: str) -> None:
    """Undo the move to a leaf when nobody needs it any more: no other group of ours is left in the directory."""
    leaf = f"{directory}/{MEMBERS}"
    if not os.path.isdir(leaf):
        return
    with contextlib.suppress(OSError), _locked(directory, wait=True):
        names = [entry.name for entry in os.scandir(directory) if entry.is_dir()]
        if names != [MEMBERS]:
            return
        for name in _controllers(f"{directory}/cgroup.subtree_control"):
            files.write(f"{directory}/cgroup.subtree_control", f"-{name}")
        _move_all(leaf, directory)
        os.rmdir(leaf)


@contextlib.contextmanager
def _locked(directory: str, *, wait: bool) -> Iterator[None]:
    """One bldr at a time arranges a group; somebody who holds the lock for ever is not waited for."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for _ in range(_LOCK_TRIES if wait else 0):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_LOCK_PAUSE_S)
        yield
    finally:
        os.close(fd)


def _controllers(path: str) -> frozenset[str]:
    return frozenset(files.read(path).split()) & frozenset(WANTED)


def _members(directory: str) -> list[int]:
    return list(map(int, files.read(f"{directory}/cgroup.procs").split()))


def _may_write(path: str) -> bool:
    return os.access(path, os.W_OK, effective_ids=True)
