"""What an action prints: a file that stands beside its tree, and is kept where anything is in it."""

from bldr.execute.staging import Staged
from bldr.store.digest import Digest
from bldr.store.errors import storage_error
from bldr.store.store import Store
from bldr.system import os

LOG_BYTES = 64 << 20
"""Most that is kept of an action's output; the rest is cut off and said to be."""


def open_log(stage: Staged) -> int:
    """A descriptor to write the action's output to. Raises CacheError, and then the stage is gone."""
    try:
        return os.open(stage.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        stage.remove()
        raise storage_error("write", stage.log, error) from error


def keep_log(store: Store, path: str, *, is_ours: bool) -> Digest | None:
    """Store what the action printed; `is_ours`: nobody else can hold the file open any more."""
    size = os.stat(path).st_size
    if not size:
        return None
    os.chmod(path, 0o600)  # the action had it open, and may have taken our own permission away
    if size > LOG_BYTES:
        os.truncate(path, LOG_BYTES)
        with open(path, "ab") as file:
            file.write(b"\n[bldr kept the first %d bytes of %d]\n" % (LOG_BYTES, size))
    return store.blobs.take_file(path) if is_ours else store.blobs.put_file(path)
