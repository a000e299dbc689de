"""One build at a time holds a workspace. The kernel drops the lock of a process that dies, however it dies."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bldr.api.errors import BldrError
from bldr.execute.materialize import OUTPUT_DIRECTORY
from bldr.graph.actions import LOCK_NAME
from bldr.system import fcntl, os

WAITING = (
    "another bldr builds in this workspace: waiting for it",
    f"its process is the holder of {OUTPUT_DIRECTORY}/{LOCK_NAME}",
)
"""What is said to people meanwhile, and the hint."""


@contextmanager
def workspace_lock(root: str, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the workspace at `root`; `waiting` is called when another process does, before this one waits for it."""
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
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
