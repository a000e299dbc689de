"""Contents of files by digest: written once, never changed, verified before they are believed."""

import contextlib
import errno
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from xxhash import xxh3_128

from bldr.store.digest import (
    CHUNK_BYTES,
    SMALL_BYTES,
    Digest,
    bytes_digest,
    checksum,
    descriptor_digest,
    open_regular,
    sha256,
)
from bldr.store.errors import BlobMissing, storage_error
from bldr.store.inodes import File, Inodes, blob_name
from bldr.system import fcntl, os

_FICLONE = 0x40049409  # linux/fs.h
_UNLINKABLE = (errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP)
"""Another file system, too many links, fs.protected_hardlinks, no hard links at all: a copy does."""
_LINK_ATTEMPTS = 10
_LINKED_AT_ONCE = 64  # each that cannot be linked costs a look at so many names
_READ_AT_ONCE = 500  # SQLite's bound on variables has been 999 in builds that are still around


FileState = tuple[int, int, int, int]
"""Device, inode, size and modification time in nanoseconds: while nobody can write to a file, this is its content."""

Hashed = Mapping[FileState, tuple[Digest, bytes]]
"""Digests and checksums of files that were hashed before they are taken."""


_NOTHING_HASHED: Hashed = MappingProxyType({})


def file_state(status: os.stat_result) -> FileState:
    """What `Hashed` knows a file by."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class Blobs:
    """Puts contents into `blobs/` and gives them out again; what may be believed is `Inodes`' affair."""

    def __init__(self, inodes: Inodes) -> None:
        self._inodes = inodes
        self._clones = True
        self._owner = inodes.owner or (os.geteuid(), os.getegid())

    @property
    def owner(self) -> tuple[int, int]:
        """Whose the files are."""
        return self._owner

    def put_bytes(self, data: bytes) -> Digest:
        """Store `data`."""
        digest = bytes_digest(data)
        if not self._is_kept(digest):
            self.put_lost(data, digest)
        return digest

    def put_lost(self, data: bytes, digest: Digest) -> None:
        """Store `data`, which has this digest and is not there, as `lost` says. One that is there is replaced."""
        temporary = self._inodes.presence.temporary_name()
        try:
            descriptor = self._inodes.create(temporary)
            try:
                _write_all(descriptor, data)
                self._inodes.seal(descriptor, 0o444)
            finally:
                os.close(descriptor)
            self._inodes.keep(temporary, digest, checksum(data))
        except OSError as error:
            self._inodes.drop(temporary)
            raise storage_error("write a blob to", self._inodes.path, error) from error

    def put_file(self, path: str, dir_fd: int | None = None) -> Digest:
        """Store a copy of a regular file; what is stored is what was hashed, even if somebody writes meanwhile.

        Raises CacheError for anything else than a regular file: a link is not followed.
        """
        try:
            descriptor = open_regular(path, dir_fd)
        except OSError as error:
            raise storage_error("read", path, error) from error
        try:
            return self._put_descriptor(descriptor, path)
        finally:
            os.close(descriptor)

    def take_file(self, path: str, dir_fd: int | None = None, hashed: Hashed = _NOTHING_HASHED) -> Digest:
        """Move a regular file into the store, its inode and all; the caller vouches that nobody can write to it, nor
        could when it was `hashed`.

        A file that has another name or extended attributes besides, or that lies on another file system, is copied and
        then removed. Permissions, set-uid and owner are replaced. Raises CacheError for a link, a directory or a
        special file, which stays where it is.
        """
        temporary = self._inodes.presence.temporary_name()
        try:
            status = os.stat(path, dir_fd=dir_fd, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", path)
            try:
                # from here on nobody can swap it: only we can reach the name
                os.rename(path, temporary, src_dir_fd=dir_fd, dst_dir_fd=self._inodes.presence.dir_fd)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                digest = self.put_file(path, dir_fd)
                os.unlink(path, dir_fd=dir_fd)
                return digest
        except OSError as error:
            raise storage_error("store", path, error) from error
        is_kept = False
        try:
            digest, is_kept = self._adopt(temporary, path, hashed)
            return digest
        except OSError as error:
            raise storage_error("store", path, error) from error
        finally:
            if not is_kept:
                self._inodes.drop(temporary)

    def has(self, digest: Digest) -> bool:
        """Whether the blob is there; it stays then for as long as this process lives. Its content is not read."""
        return self._inodes.has(digest)

    def lost(self, digests: Iterable[Digest]) -> set[Digest]:
        """Those that are not there. The others stay for as long as this process lives, as after `has`."""
        return self._inodes.lost(digests)

    def exists(self, digest_hash: str) -> bool:
        """Whether something stands where the blob would. Nothing keeps it there."""
        return self._inodes.exists(digest_hash)

    def read(self, digest: Digest) -> bytes:
        """The content, verified each time. Raises BlobMissing."""
        name = blob_name(digest)
        try:
            descriptor = self._inodes.open(name)
            try:
                parts = []
                while part := os.read(descriptor, min(digest.size_bytes + 1, CHUNK_BYTES)):
                    parts.append(part)
            finally:
                os.close(descriptor)
        except OSError as error:
            self._inodes.verify(digest, name, 0o444)  # raises BlobMissing where that is what is the matter
            raise storage_error("read", os.path.join(self._inodes.path, name), error) from error
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        if len(data) != digest.size_bytes or checksum(data) != self._inodes.checksum(digest.hash):
            self._inodes.verify(digest, name, 0o444)  # raises, unless the row is what is wrong
            if bytes_digest(data) != digest:
                raise self._inodes.missing(digest, "changed while it was being read")
        return data

    def read_many(self, digests: Sequence[Digest]) -> Iterator[bytes]:
        """The contents in order, each verified, as by `read`; for small ones, as each is in memory as a whole."""
        for at in range(0, len(digests), _READ_AT_ONCE):
            some = digests[at : at + _READ_AT_ONCE]
            checks = self._inodes.checksums([digest.hash for digest in some])
            for digest in some:
                data = self._read_small(digest, checks.get(digest.hash))
                yield self.read(digest) if data is None else data

    def path(self, digest: Digest, executable: bool = False) -> str:
        """Where the content stands, verified, with mode 0444 or 0555. Raises BlobMissing."""
        return os.path.join(self._inodes.path, self._ready(digest, executable))

    def inode(self, digest: Digest, executable: bool) -> int:
        """The number of the inode that holds the content, verified, as links to it have it. Raises BlobMissing."""
        return self._number(digest, executable)[1]

    def link(self, digest: Digest, executable: bool, dest: str, dest_dir_fd: int | None = None) -> int | None:
        """Make `dest` a hard link to the content, verified; a copy where it cannot be linked. Returns the number of the
        blob's inode, None for a copy, which has one of its own. Raises BlobMissing.
        """
        for attempt in range(_LINK_ATTEMPTS):
            name, number = self._number(digest, executable)
            try:
                os.link(name, dest, src_dir_fd=self._inodes.dir_fd, dst_dir_fd=dest_dir_fd, follow_symlinks=False)
                return number
            except FileNotFoundError as error:
                # link(2) finds the inode by its name and then refuses it where its last name has just gone: another
                # process has put the same blob and replaced it
                if attempt == _LINK_ATTEMPTS - 1:
                    raise storage_error("link a blob to", dest, error) from error
            except OSError as error:
                if error.errno not in _UNLINKABLE:
                    raise storage_error("link a blob to", dest, error) from error
                break
        self.copy(digest, executable, dest, dest_dir_fd)
        return None

    def link_all(self, files: Sequence[File], dest_dir_fd: int) -> list[int | None]:
        """Make each of the files a link below a directory, and return for each what `link` does, only faster.

        Raises BlobMissing; those before it are there then.
        """
        numbers: list[int | None] = []
        while len(numbers) < len(files):
            some = files[len(numbers) : len(numbers) + _LINKED_AT_ONCE]
            linked = self._inodes.link_known(some, dest_dir_fd)
            numbers += linked
            if len(linked) < len(some):
                odd = some[len(linked)]
                numbers.append(self.link(Digest(odd.hash, odd.size_bytes), odd.executable, odd.path, dest_dir_fd))
        return numbers

    def copy(self, digest: Digest, executable: bool, dest: str, dest_dir_fd: int | None = None) -> None:
        """Make `dest` a file of its own with the content, verified: a clone where the file system can.

        Raises BlobMissing; CacheError where `dest` exists or cannot be written, and then nothing half is left there.
        """
        source = self._open(digest, executable)
        try:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(dest, flags, 0o600, dir_fd=dest_dir_fd)
            try:
                self._fill(source, descriptor, digest)
                self._inodes.seal(descriptor, 0o555 if executable else 0o444)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(dest, dir_fd=dest_dir_fd)
                raise
            finally:
                os.close(descriptor)
        except OSError as error:
            raise storage_error("write", dest, error) from error
        finally:
            os.close(source)

    def _read_small(self, digest: Digest, check: bytes | None) -> bytes | None:
        """The content; None where it is not what it should be, and `read` finds out why."""
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(blob_name(digest), flags, dir_fd=self._inodes.dir_fd)
            try:
                data = os.read(descriptor, digest.size_bytes + 1)
            finally:
                os.close(descriptor)
        except OSError:
            return None
        return data if len(data) == digest.size_bytes and checksum(data) == check else None

    def _put_descriptor(self, source: int, path: str) -> Digest:
        """Store what a descriptor reads from its position on. A small file that is there already is not written."""
        try:
            data = os.read(source, SMALL_BYTES)
            if len(data) < SMALL_BYTES:
                rest = os.read(source, SMALL_BYTES)
                if not rest:
                    return self.put_bytes(data)
                data += rest
        except OSError as error:
            raise storage_error("read", path, error) from error
        temporary = self._inodes.presence.temporary_name()
        identity, check, size_bytes = sha256(), xxh3_128(), 0
        try:
            descriptor = self._inodes.create(temporary)
            try:
                while data:
                    identity.update(data)
                    check.update(data)
                    size_bytes += len(data)
                    _write_all(descriptor, data)
                    data = os.read(source, CHUNK_BYTES)
                self._inodes.seal(descriptor, 0o444)
            finally:
                os.close(descriptor)
            digest = Digest(identity.hexdigest(), size_bytes)
            if not self._is_kept(digest):
                self._inodes.keep(temporary, digest, check.digest())
        except OSError as error:
            raise storage_error("copy to the store", path, error) from error
        finally:
            self._inodes.drop(temporary)
        return digest

    def _adopt(self, temporary: str, path: str, hashed: Hashed) -> tuple[Digest, bool]:
        """Make a blob of a file that lies in our own directory; whether that file itself is the blob now."""
        dir_fd = self._inodes.presence.dir_fd
        try:
            descriptor = open_regular(temporary, dir_fd)
        except PermissionError:  # its owner may have taken every permission from himself
            os.chmod(temporary, 0o400, dir_fd=dir_fd)
            descriptor = open_regular(temporary, dir_fd)
        try:
            status = os.fstat(descriptor)
            if not self._own(descriptor, status):
                return self._put_descriptor(descriptor, path), False
            digest, check = hashed.get(file_state(status)) or descriptor_digest(descriptor)
            if self._is_kept(digest):
                return digest, False
            self._inodes.seal(descriptor, 0o444)
            self._inodes.keep(temporary, digest, check)
            return digest, True
        finally:
            os.close(descriptor)

    def _own(self, descriptor: int, status: os.stat_result) -> bool:
        """Make an inode ours alone; False where that cannot be, and a copy has to do."""
        if status.st_nlink > 1 or _has_attributes(descriptor):
            return False
        if (status.st_uid, status.st_gid) != self.owner:
            try:
                os.fchown(descriptor, *self.owner)
            except PermissionError:
                return False
        return True

    def _is_kept(self, digest: Digest) -> bool:
        """Whether the blob is there and sound, so that it need not be put."""
        if not self._inodes.exists(digest.hash):
            return False
        try:
            self._inodes.ready(digest, False)
        except BlobMissing:
            return False
        return True

    def _ready(self, digest: Digest, executable: bool) -> str:
        """The name of the right inode, which is made where only the other one is there. Raises BlobMissing."""
        return self._number(digest, executable)[0]

    def _number(self, digest: Digest, executable: bool) -> tuple[str, int]:
        """The same, and its number."""
        if not executable:
            return self._inodes.number(digest, False)
        try:
            return self._inodes.number(digest, True)
        except BlobMissing:
            self._make_executable(digest)
        return self._inodes.number(digest, True)

    def _open(self, digest: Digest, executable: bool) -> int:
        """A descriptor to read a blob that is ready. Raises BlobMissing."""
        name = self._ready(digest, executable)
        try:
            return self._inodes.open(name)
        except OSError as error:
            raise storage_error("read", os.path.join(self._inodes.path, name), error) from error

    def _make_executable(self, digest: Digest) -> None:
        temporary = self._inodes.presence.temporary_name()
        source = self._open(digest, False)
        try:
            descriptor = self._inodes.create(temporary)
            try:
                self._fill(source, descriptor, digest)
                self._inodes.seal(descriptor, 0o555)
            finally:
                os.close(descriptor)
            self._inodes.keep(temporary, digest, b"", executable=True)
        except OSError as error:
            raise storage_error("write a blob to", self._inodes.path, error) from error
        finally:
            os.close(source)
            self._inodes.drop(temporary)

    def _fill(self, source: int, descriptor: int, digest: Digest) -> None:
        """Copy a blob that is ready. Raises OSError; EIO where the copy is not what it should be."""
        if self._clones:
            try:
                fcntl.ioctl(descriptor, _FICLONE, source)
                return
            except OSError:
                self._clones = False
        check = xxh3_128()
        while data := os.read(source, min(digest.size_bytes + 1, CHUNK_BYTES)):
            check.update(data)
            _write_all(descriptor, data)
        if check.digest() != self._inodes.checksum(digest.hash):
            raise OSError(errno.EIO, "the blob changed while it was being copied")


def _has_attributes(descriptor: int) -> bool:
    """Whether an inode brings extended attributes along: access lists, capabilities, what an overlay believes in."""
    return hasattr(os, "listxattr") and any(name != "security.selinux" for name in os.listxattr(descriptor))


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])
