"""What an unpacked tree holds, written down when it was made: how damage is noticed later.

Each use compares what `lstat` says, which costs no reading; the contents are compared where that differs, or when
somebody asks (`bldr verify`). The checksums (XXH3) find accidents and careless edits; what an attacker would have to
match is the pinned SHA-256 of the archive.
"""

import stat
from collections.abc import Iterator

import msgspec
import xxhash

from bldr.system import os

_VERSION = 1
_CHECKSUM_BYTES = 16


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One path of the tree ("" is its root). `content` is a file's XXH3-128 or a link's target.

    The inode and its change time move whenever anything about the entry is changed, which the modification time, being
    fixed, does not show. A directory's also move when a name is added to it or taken away.
    """

    path: str
    mode: int
    size_bytes: int
    content: str
    inode: int
    changed_ns: int

    @classmethod
    def of(cls, path: str, status: os.stat_result, content: str) -> "Entry":
        size_bytes = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
        return cls(path, status.st_mode, size_bytes, content, status.st_ino, status.st_ctime_ns)


class _Manifest(msgspec.Struct, frozen=True, array_like=True):
    version: int
    paths: tuple[Entry, ...]


def write(entry: str, paths: tuple[Entry, ...]) -> None:
    """Write the manifest of the tree in the directory `entry`, atomically."""
    body = msgspec.msgpack.encode(_Manifest(_VERSION, paths))
    place = os.path.join(entry, "manifest")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(place + ".new", flags, 0o644), "wb") as file:
        file.write(xxhash.xxh3_128_digest(body) + body)
    os.rename(place + ".new", place)


def is_whole(entry: str) -> bool:
    """Whether nothing of the tree was touched since the manifest was written, by lstat alone."""
    paths = _read(entry)
    tree = os.path.join(entry, "tree")
    try:
        return paths is not None and all(_now(tree, path) == path for path in paths)
    except OSError:
        return False


def damage(entry: str) -> list[str]:
    """What is not as the manifest says, one sentence each; reads every file."""
    paths = _read(entry)
    tree = os.path.join(entry, "tree")
    if paths is None:
        return ["the manifest is missing or damaged"]
    if not os.path.isdir(tree):
        return ["the tree is missing"]
    known = {path.path: path for path in paths}
    found = {path: _difference(tree, path, known.get(path)) for path in _walk(tree)}
    missing = {path: f'"{path}" is missing' for path in known if path not in found}
    return [text for _, text in sorted({**found, **missing}.items()) if text]


def refresh(entry: str) -> None:
    """Write down what `lstat` says now, of a tree in which no damage was found."""
    tree = os.path.join(entry, "tree")
    write(entry, tuple(_now(tree, path) for path in _read(entry) or ()))


def _read(entry: str) -> tuple[Entry, ...] | None:
    """The paths, or None where there is no whole manifest."""
    try:
        with open(os.path.join(entry, "manifest"), "rb") as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    checksum, body = data[:_CHECKSUM_BYTES], data[_CHECKSUM_BYTES:]
    if xxhash.xxh3_128_digest(body) != checksum:
        return None
    try:
        manifest = msgspec.msgpack.decode(body, type=_Manifest)
    except msgspec.MsgspecError:
        return None
    return manifest.paths if manifest.version == _VERSION else None


def _now(tree: str, path: Entry) -> Entry:
    return Entry.of(path.path, os.lstat(f"{tree}/{path.path}" if path.path else tree), path.content)


def _walk(tree: str) -> Iterator[str]:
    yield ""
    pending = [""]
    while pending:
        directory = pending.pop()
        with os.scandir(f"{tree}/{directory}") as entries:
            for entry in entries:
                path = f"{directory}/{entry.name}" if directory else entry.name
                yield path
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)


def _difference(tree: str, path: str, entry: Entry | None) -> str:
    """What is wrong with one path that exists; "" for nothing."""
    if entry is None:
        return f'"{path}" does not belong there'
    full_path = f"{tree}/{path}" if path else tree
    status = os.lstat(full_path)
    if status.st_mode != entry.mode:
        return f'"{path}" has the mode {status.st_mode:o} instead of {entry.mode:o}'
    if stat.S_ISLNK(status.st_mode):
        return "" if os.readlink(full_path) == entry.content else f'"{path}" links to something else'
    if stat.S_ISREG(status.st_mode) and (status.st_size != entry.size_bytes or _checksum(full_path) != entry.content):
        return f'"{path}" has other contents'
    return ""


def _checksum(path: str) -> str:
    checksum = xxhash.xxh3_128()
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        while chunk := os.read(fd, 1 << 20):
            checksum.update(chunk)
    finally:
        os.close(fd)
    return checksum.hexdigest()
