"""The identity of host files: a digest of what they contain, never of when or on which disk they were written."""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from bldr.system import os

_CHUNK_BYTES = 1 << 20


class Content(NamedTuple):
    """`identity` covers paths, bytes, execute bits and link targets; `directories` are all at and below the roots."""

    identity: str
    directories: tuple[str, ...]


def content_of(files: Iterable[str], links: Iterable[tuple[str, str]] = (), roots: Iterable[str] = ()) -> Content:
    """Digest single files, made links and whole directories. What is no file, directory or link is left out.

    Raises OSError where something cannot be read: a toolchain that its user may not read is not usable.
    """
    total = hashlib.sha256()
    for path, target in sorted(links):
        total.update(_record("link", path, os.fsencode(target)))
    for path in sorted(files):
        total.update(_record(*_file(path)))
    directories: list[str] = []
    for root in sorted(roots):
        pending = [root]
        while pending:
            directory = pending.pop()
            directories.append(directory)
            with os.scandir(directory) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    if entry.is_symlink():
                        total.update(_record("link", entry.path, os.fsencode(os.readlink(entry.path))))
                    elif entry.is_dir():
                        pending.append(entry.path)
                    elif entry.is_file():
                        total.update(_record(*_file(entry.path)))
    return Content(total.hexdigest(), tuple(directories))


def _record(kind: str, path: str, content: bytes) -> bytes:
    """One entry, such that no two different ones read the same: NUL is in no path."""
    return b"%s\0%s\0%d\0%s" % (kind.encode(), os.fsencode(path), len(content), content)


def _file(path: str) -> tuple[str, str, bytes]:
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        executable = os.fstat(descriptor).st_mode & 0o111 != 0
        while chunk := os.read(descriptor, _CHUNK_BYTES):
            digest.update(chunk)
            if len(chunk) < _CHUNK_BYTES:
                break
    finally:
        os.close(descriptor)
    return "program" if executable else "file", path, digest.digest()
