"""The files of snapshots: whole or not believed, ours or not believed, and replaced in one step."""

import os
import stat
import sys
import time

TYPE_CHECKING = False  # see bldr.cli.main
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from bldr.snapshot.gathered import Gathered

VERSION = 3
FOLDER = "v1/snapshots"
"""Below the cache directory; of the version that `bldr.store.store` gives the whole directory."""

SETTLED_NS = 50_000_000
"""What changed less than this before it was looked at may change again within the clock's granularity."""

_MAGIC = b"bldr snapshot %d %d\n" % (VERSION, sys.hexversion)  # marshal's format is the interpreter's
_CHECKSUM_BYTES = 16
_LENGTH_BYTES = 8
_MOST_FILES = 128
ACTIONS = ".actions"
SINCE = ".since"
"""What is added to a snapshot's name for the files that belong to it."""

_SUFFIXES = ("", ACTIONS, SINCE)


class Snapshot:
    """A snapshot that was read: `head` is a dictionary, `parts` are what else it holds, not decoded yet."""

    __slots__ = ("head", "parts")

    def __init__(self, head: "dict[str, Any]", parts: "list[memoryview]") -> None:
        self.head = head
        self.parts = parts


def is_settled(status: os.stat_result) -> bool:
    """Whether a file is so old that it cannot change any more without another signature."""
    return time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > SETTLED_NS


def place_of(cache_directory: str, key: str) -> str:
    """Where the snapshot of a request is."""
    return f"{cache_directory}/{FOLDER}/{key}"


def read(path: str, cache_directory: str) -> Snapshot | None:
    """The snapshot at `path`; None where there is none that is whole and the user's own."""
    data = read_own(path, cache_directory)
    body = len(_MAGIC) + _CHECKSUM_BYTES
    if data is None or len(data) < body + _LENGTH_BYTES or not data.startswith(_MAGIC):
        return None
    view = memoryview(data)
    if _checksum(view[body:]) != data[len(_MAGIC) : body]:
        return None
    at = body + _LENGTH_BYTES
    end = at + int.from_bytes(data[body:at], "little")
    head = decoded(view[at:end])
    parts = []
    for size in head["sizes"]:
        parts.append(view[end : end + size])
        end += size
    return Snapshot(head, parts)


def decoded(part: "memoryview | bytes") -> "Any":
    """What `encoded` made: of files that are whole and ours, or of a process of our own."""
    import marshal

    return marshal.loads(part)  # noqa: S302


def encoded(value: "Any") -> bytes:
    """As the interpreter writes byte code: what it reads fastest."""
    import marshal

    return marshal.dumps(value)


def read_own(path: str, cache_directory: str) -> bytes | None:
    """The bytes of a file that nobody but its reader (or, where root reads, the cache's owner) can have written."""
    try:
        folder = os.stat(cache_directory)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        user = os.geteuid()
        owners = (user,) if user else (0, folder.st_uid)
        if folder.st_uid not in owners or folder.st_mode & 0o077:
            return None
        if status.st_uid not in owners or status.st_mode & 0o022 or not stat.S_ISREG(status.st_mode):
            return None
        pieces = []
        left = status.st_size
        while left > 0 and (piece := os.read(descriptor, left)):
            pieces.append(piece)
            left -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def write(path: str, head: "dict[str, Any]", parts: "Sequence[bytes | Gathered]" = ()) -> None:
    """Put a snapshot in the place of whatever is at `path`. Raises OSError."""
    from xxhash import xxh3_128

    packed = encoded({**head, "sizes": [len(part) for part in parts]})
    body = [len(packed).to_bytes(_LENGTH_BYTES, "little"), packed, *parts]
    checksum = xxh3_128()
    for chunk in _chunks(body):
        checksum.update(chunk)
    _replace(path, _chunks([_MAGIC, checksum.digest(), *body]))


def _chunks(parts: "Sequence[bytes | Gathered]") -> "Iterator[bytes | bytearray]":
    for part in parts:
        if isinstance(part, bytes):
            yield part
        else:
            yield from part.chunks()


def _replace(path: str, chunks: "Iterable[bytes | bytearray]") -> None:
    """Write beside and rename, so that a reader has the old file or the new one, whole. Raises OSError.

    Nothing is synchronised with the disk: what a power failure tears has the wrong checksum.
    """
    cache = make_folder(path)
    temporary = f"{path}.{os.getpid()}.new"
    remove(temporary)  # of a process of the same number that was killed
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            for chunk in chunks:
                view = memoryview(chunk)
                while view:
                    view = view[os.write(descriptor, view) :]
            if os.geteuid() == 0 and cache.st_uid != 0:
                os.fchown(descriptor, cache.st_uid, cache.st_gid)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def make_folder(path: str) -> os.stat_result:
    """Make the folder of the snapshot at `path` where it is missing; returns the state of the cache. Raises OSError."""
    folder = os.path.dirname(path)
    cache = os.stat(os.path.dirname(folder))
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        return cache
    if os.geteuid() == 0 and cache.st_uid != 0:
        os.chown(folder, cache.st_uid, cache.st_gid)
    return cache


def prune(cache_directory: str, most_files: int = _MOST_FILES) -> None:
    """Remove the oldest snapshots above so many files, and what killed processes began."""
    folder = f"{cache_directory}/{FOLDER}"
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    if len(names) <= most_files:
        return
    aged = []
    for name in names:
        try:
            aged.append((os.lstat(f"{folder}/{name}").st_mtime_ns, name))
        except FileNotFoundError:
            continue
    aged.sort()
    for _, name in aged[: len(aged) - most_files // 2]:
        remove(f"{folder}/{name}")


def share_folder(cache_directory: str) -> int:
    """A descriptor with which nobody removes all snapshots, until it is closed. Raises OSError."""
    from bldr.system import fcntl, os

    descriptor = os.open(f"{cache_directory}/{FOLDER}", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def forget(path: str) -> None:
    """Remove the snapshot at `path` and all that belongs to it."""
    for suffix in _SUFFIXES:
        remove(path + suffix)


def forget_all(cache_directory: str) -> None:
    """Remove every snapshot in a cache, and those that are just being made of others."""
    from bldr.system import fcntl

    try:
        descriptor = share_folder(cache_directory)
    except OSError:
        return  # none was ever written
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        prune(cache_directory, 0)
    finally:
        os.close(descriptor)


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _checksum(data: "bytes | memoryview") -> bytes:
    from xxhash import xxh3_128_digest

    return xxh3_128_digest(data)
