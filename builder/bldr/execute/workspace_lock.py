"""One build at a time holds a workspace. The kernel drops the lock of a process that dies, however it dies."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bldr.api.errors import BldrError
from bldr.execute.materialize import OUTPUT_DIRECTORY
from bldr.graph.actions import LOCK_NAME
from bldr.system import fcntl, os

WAITING = (
    "another bldr is at work in this workspace: waiting for it",
    f"its process is the holder of {OUTPUT_DIRECTORY}/{LOCK_NAME}",
)
"""What is said to people meanwhile, and the hint."""

_TRIES, _TRY_S = 10, 0.01
"""Who only looks whether there is anything to build is soon done: nobody has to hear of that."""


@contextmanager
def workspace_lock(root: str, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the workspace at `root`; `waiting` is called before this process waits for another one for longer."""
    directory = os.path.join(root, OUTPUT_DIRECTORY)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    if os.path.islink(directory):
        raise BldrError(f"{directory} is a link: outputs would land somewhere else", "remove it")
    try:
        os.makedirs(directory, exist_ok=True)
        descriptor = os.open(os.path.join(directory, LOCK_NAME), flags, 0o644)
    except OSError as error:
        hint = "outputs need a workspace that can be written"
        raise BldrError(f"cannot write to {directory}: {error.strerror}", hint) from error
    try:
        if not any(_lock(descriptor, directory, wait=False) for _ in _tries()):
            waiting()
            _lock(descriptor, directory, wait=True)
        yield
    finally:
        os.close(descriptor)


def _tries() -> Iterator[None]:
    yield
    for _ in range(_TRIES - 1):
        time.sleep(_TRY_S)
        yield


def _lock(descriptor: int, directory: str, *, wait: bool) -> bool:
    """Whether the lock could be had. Raises BldrError."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        hint = "one build at a time has a workspace: it needs a file system with locks"
        raise BldrError(f"cannot lock {os.path.join(directory, LOCK_NAME)}: {error.strerror}", hint) from error
    return True
