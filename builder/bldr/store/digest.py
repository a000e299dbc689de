"""Both hash choices of bldr, in one place.

SHA-256 is identity: of blobs, of trees and (in `bldr.plan`) of actions. A shared cache must withstand somebody who
crafts collisions, and every remote-execution server speaks it. XXH3-128 is a checksum: of stored records and blobs, of
states and memo keys that nobody attacks, where only speed counts.
"""

import errno
import stat
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple, Protocol

from xxhash import xxh3_128, xxh3_128_digest

from bldr.system import os

CHUNK_BYTES = 1 << 20
SMALL_BYTES = 1 << 16
"""What is asked for first of a file that may be small: memory for more is mapped and given back at every read."""


class Digest(NamedTuple):
    """What identifies a blob or a tree: SHA-256 in lower-case hexadecimal, and the size."""

    hash: str
    size_bytes: int


class Hashing(Protocol):
    """A hash that is fed piece by piece."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None: ...

    def digest(self) -> bytes: ...

    def hexdigest(self) -> str: ...


def sha256(data: bytes = b"") -> Hashing:
    """A new SHA-256."""
    return _sha256()(data)


@cache
def _sha256() -> Callable[[bytes], Hashing]:
    """hashlib takes 5 ms to import, which a build that hashes nothing does not pay."""
    import hashlib

    return hashlib.sha256


def bytes_digest(data: bytes) -> Digest:
    """The digest of `data`."""
    return Digest(_sha256()(data).hexdigest(), len(data))


def file_digest(path: str, dir_fd: int | None = None) -> Digest:
    """The digest of a regular file, which is not stored. Links are not followed. Raises OSError."""
    descriptor = open_regular(path, dir_fd)
    try:
        return descriptor_digest(descriptor)[0]
    finally:
        os.close(descriptor)


def descriptor_digest(descriptor: int, between: Callable[[], None] | None = None) -> tuple[Digest, bytes]:
    """The digest and the checksum of all that follows from the descriptor's position. `between` is called after each
    chunk, and may raise to end it. Raises OSError."""
    data = os.read(descriptor, SMALL_BYTES)
    if len(data) < SMALL_BYTES and not (rest := os.read(descriptor, SMALL_BYTES)):
        return bytes_digest(data), checksum(data)
    identity, check, size = sha256(data), xxh3_128(data), len(data)
    if len(data) < SMALL_BYTES:
        identity.update(rest)
        check.update(rest)
        size += len(rest)
    while chunk := os.read(descriptor, CHUNK_BYTES):
        identity.update(chunk)
        check.update(chunk)
        size += len(chunk)
        if between is not None:
            between()
    return Digest(identity.hexdigest(), size), check.digest()


def checksum(data: bytes) -> bytes:
    """XXH3-128, 16 bytes."""
    return xxh3_128_digest(data)


def record_checksum(*parts: bytes) -> bytes:
    """One XXH3-128 over parts whose borders count."""
    return xxh3_128_digest(b"".join([piece for part in parts for piece in (len(part).to_bytes(8, "little"), part)]))


def descriptor_checksum(descriptor: int) -> tuple[int, bytes]:
    """Size and XXH3-128 of all that follows from the descriptor's position. Raises OSError."""
    data = os.read(descriptor, SMALL_BYTES)
    if len(data) < SMALL_BYTES and not (rest := os.read(descriptor, SMALL_BYTES)):
        return len(data), checksum(data)
    state, size = xxh3_128(data), len(data)
    if len(data) < SMALL_BYTES:
        state.update(rest)
        size += len(rest)
    while chunk := os.read(descriptor, CHUNK_BYTES):
        state.update(chunk)
        size += len(chunk)
    return size, state.digest()


def open_regular(path: str, dir_fd: int | None = None) -> int:
    """A descriptor to read a regular file; OSError for anything else, without blocking on it or following it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return descriptor


class Identity(Protocol):
    """What a tree needs to know of a file's content: `Digest`, or anything else that says so."""

    @property
    def hash(self) -> str: ...

    @property
    def size_bytes(self) -> int: ...


def tree_digest(
    files: Iterable[tuple[str, Identity, bool]],
    symlinks: Iterable[tuple[str, str]] = (),
    directories: Iterable[str] = (),
) -> Digest:
    """The digest of the `Directory` message of a tree's root, as the Remote Execution API 2 defines it.

    `files` are (path, digest, executable), `symlinks` (path, target) and `directories` the paths of directories that
    stand there even when empty; paths are relative and normal, in any order. The canonical form asks for entries
    sorted by name inside each directory, fields in order of number, default values left out.
    https://github.com/bazelbuild/remote-apis/blob/main/build/bazel/remote/execution/v2/remote_execution.proto
    Raises ValueError where two entries claim one path, or a path or target is not UTF-8.
    """
    files, symlinks, directories = list(files), list(symlinks), list(directories)
    if len(files) == 1 and not symlinks and not directories:
        return _digest_of_one(*files[0])
    tree: dict[str, Any] = {}
    for path in directories:
        _directory(tree, path)
    last, directory = "", tree  # neighbours come together: the way to them is looked for once
    for path, digest, executable in files:
        parent, _, name = path.rpartition("/")
        if parent != last:
            last, directory = parent, _directory(tree, parent)
        if name in directory:
            raise _claimed_twice(path)
        directory[name] = _file_node(name, digest, executable)
    for path, target in symlinks:
        parent, _, name = path.rpartition("/")
        directory = _directory(tree, parent)
        if name in directory:
            raise _claimed_twice(path)
        directory[name] = _symlink_node(name, target)
    return _digest_of(tree)


_FILES, _DIRECTORIES, _SYMLINKS = b"\x0a", b"\x12", b"\x1a"
"""Tags of the fields 1, 2 and 3 of `Directory`: number << 3 | 2, for what is length-delimited."""


def _digest_of_one(path: str, digest: Identity, executable: bool) -> Digest:
    """The digest of a tree that holds one file: very many actions have one input."""
    *above, name = path.split("/")
    message = _file_node(name, digest, executable)
    found = bytes_digest(message)
    for name in reversed(above):
        message = _node(_DIRECTORIES, name, _digest_field(*found))
        found = bytes_digest(message)
    return found


def _directory(tree: dict[str, Any], path: str) -> dict[str, Any]:
    """The inner dict of a directory: name -> inner dict, or the encoded node of a leaf."""
    if not path:
        return tree
    for name in path.split("/"):
        inside = tree.get(name)
        if inside is None:
            inside = tree[name] = {}
        elif isinstance(inside, bytes):
            raise ValueError(f"{name!r} is a file and a directory on the way to {path!r}")
        tree = inside
    return tree


def _claimed_twice(path: str) -> ValueError:
    return ValueError(f"two entries of a tree claim the path {path!r}")


def _digest_of(root: dict[str, Any]) -> Digest:
    """The root's digest, children first; without recursion, since a tree may be deeper than Python's stack."""
    order, digests = [root], dict[int, bytes]()
    for directory in order:
        order += [inside for inside in directory.values() if type(inside) is dict]
    digest = Digest("", 0)
    for directory in reversed(order):
        digest = bytes_digest(_message(directory, digests))
        digests[id(directory)] = _digest_field(*digest)
    return digest


def _message(directory: dict[str, Any], digests: dict[int, bytes]) -> bytes:
    """The `Directory` message; strings sort by code point, which is the order of their UTF-8."""
    files, directories, symlinks = [], [], []
    for name, node in sorted(directory.items()) if len(directory) > 1 else directory.items():
        if type(node) is dict:
            directories.append(_node(_DIRECTORIES, name, digests[id(node)]))
        elif node[:1] == _FILES:
            files.append(node)
        else:
            symlinks.append(node)
    return b"".join(files + directories + symlinks)


def _file_node(name: str, digest: Identity, executable: bool) -> bytes:
    rest = _digest_field(digest.hash, digest.size_bytes)
    return _node(_FILES, name, rest + b"\x20\x01" if executable else rest)


def _symlink_node(name: str, target: str) -> bytes:
    encoded = target.encode()
    return _node(_SYMLINKS, name, b"\x12" + _varint(len(encoded)) + encoded)


def _node(tag: bytes, name: str, rest: bytes) -> bytes:
    """A field of `Directory`: a message whose field 1 is the name."""
    encoded = name.encode()
    length = len(encoded) + len(rest) + 2
    if length < 0x80:  # each length is one byte then
        return b"%b%c\x0a%c%b%b" % (tag, length, len(encoded), encoded, rest)
    message = b"\x0a%b%b%b" % (_varint(len(encoded)), encoded, rest)
    return b"%b%b%b" % (tag, _varint(len(message)), message)


def _digest_field(digest_hash: str, size_bytes: int) -> bytes:
    """Field 2 of a node: a `Digest` message, whose hash is field 1 and whose size is field 2 (absent when zero)."""
    encoded = digest_hash.encode()
    size = (b"\x10%c" % size_bytes if size_bytes < 0x80 else b"\x10" + _varint(size_bytes)) if size_bytes else b""
    return b"\x12%c\x0a%c%b%b" % (len(encoded) + len(size) + 2, len(encoded), encoded, size)


def _varint(value: int) -> bytes:
    """A base-128 varint, the lowest seven bits first. https://protobuf.dev/programming-guides/encoding/"""
    if value < 0x80:
        return b"%c" % value
    groups = bytearray()
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
