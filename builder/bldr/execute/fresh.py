"""Outputs of directories that are not there yet: written beside, whole, and renamed into their place.

Nobody can look into such a directory before it has its name, so a file in it needs no name of its own to be written
under: one call that makes it is all that it costs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bldr.execute.sources import signature
from bldr.graph.actions import WORK_NAME
from bldr.plan.entries import Entry
from bldr.store.blobs import Blobs
from bldr.store.digest import Digest
from bldr.store.placement import spread
from bldr.store.removal import remove_tree
from bldr.store.states import FileState
from bldr.system import os, send_file

SMALL_BYTES = 1 << 20
"""What is written from memory; larger files are copied by the kernel."""

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def write_fresh(blobs: Blobs, root: str, held: Mapping[str, Sequence[Entry]]) -> Iterator[tuple[str, FileState]]:
    """Make the directories that are the keys of `held`, paths below `root`, with the files that stand below them; gives
    each file's place and state. No links: nothing that is written here can be led elsewhere by one of them.

    The caller has made sure that nothing stands there, and holds the workspace's lock: what another process left of
    its work goes. Raises OSError, BlobMissing.
    """
    root_fd = os.open(root, _OPEN)
    try:
        remove_tree(root_fd, WORK_NAME)
        spread(root_fd)
        os.mkdir(WORK_NAME, dir_fd=root_fd)
        contents = small_contents(blobs, (entry for entries in held.values() for entry in entries))
        for number, (top, entries) in enumerate(held.items()):
            made = f"{WORK_NAME}/{number}"
            for place, state in _write_tree(blobs, f"{root}/{made}", len(top), entries, contents):
                yield f"{root}/{place}", state
            os.rename(made, top, src_dir_fd=root_fd, dst_dir_fd=root_fd)
    finally:
        remove_tree(root_fd, WORK_NAME)
        os.close(root_fd)


def small_contents(blobs: Blobs, entries: Iterable[Entry]) -> Iterator[bytes]:
    """The contents of those that are small enough, in order. Raises BlobMissing."""
    return blobs.read_many([Digest(entry.hash, entry.size_bytes) for entry in entries if is_small(entry)])


def is_small(entry: Entry) -> bool:
    return bool(entry.hash) and entry.size_bytes <= SMALL_BYTES


def fill(descriptor: int, blobs: Blobs, entry: Entry, contents: Iterator[bytes]) -> None:
    """Write the content of an entry, whose turn it is among `contents` where it is small. Raises OSError."""
    if is_small(entry):
        data = next(contents)
        written = os.write(descriptor, data)
        while written < len(data):
            written += os.write(descriptor, data[written:])
        return
    source = os.open(blobs.path(Digest(entry.hash, entry.size_bytes)), os.O_RDONLY | os.O_CLOEXEC)
    try:
        left = entry.size_bytes
        while left and (sent := send_file(descriptor, source, None, left)):
            left -= sent
    finally:
        os.close(source)
    if left:
        raise OSError(5, "the cache lost the end of it while it was being copied", entry.path)


def _write_tree(
    blobs: Blobs, made: str, skipped: int, entries: Sequence[Entry], contents: Iterator[bytes]
) -> Iterator[tuple[str, FileState]]:
    """Fill the new directory `made`, which stands for the first `skipped` characters of every path."""
    os.mkdir(made)
    directories = {""}
    above, directory_fd = "", os.open(made, _OPEN)
    try:
        for entry in entries:
            parent, _, name = entry.path[skipped + 1 :].rpartition("/")
            if parent != above:
                _make_directories(made, parent, directories)
                os.close(directory_fd)
                above, directory_fd = parent, os.open(f"{made}/{parent}", _OPEN)
            descriptor = os.open(name, _CREATE, 0o755 if entry.executable else 0o644, dir_fd=directory_fd)
            try:
                fill(descriptor, blobs, entry, contents)
                status = os.fstat(descriptor)
            finally:
                os.close(descriptor)
            yield entry.path, (signature(status), Digest(entry.hash, entry.size_bytes))
    finally:
        os.close(directory_fd)


def _make_directories(made: str, path: str, known: set[str]) -> None:
    """Make `path` below `made`, and what is above it."""
    at = ""
    for part in path.split("/") if path else ():
        at = f"{at}/{part}" if at else part
        if at not in known:
            os.mkdir(f"{made}/{at}")
            known.add(at)
