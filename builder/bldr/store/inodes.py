"""The files that hold blobs: their names, and what must be true of one before anybody believes it."""

import contextlib
import errno
import re
import sqlite3
import stat
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol

from bldr.store.database import Batch, Database
from bldr.store.digest import Digest, descriptor_checksum, descriptor_digest, open_regular
from bldr.store.errors import BlobMissing, storage_error
from bldr.store.links import fastest
from bldr.store.presence import DirectoryLock, Presence
from bldr.store.removal import remove_tree
from bldr.system import kept_mode, os

MODIFIED_NS = 315532800 * 10**9
"""Every blob's modification time, 1980-01-01 (what archives can hold, and SOURCE_DATE_EPOCH): builds must not depend on
it, and any write to a blob betrays itself because it sets another."""
EXECUTABLE = ".x"
"""Ends the name of the inode with mode 0555."""
_PLAIN, _EXECUTABLE = kept_mode(0o444), kept_mode(0o555)
_HASH = re.compile(r"[0-9a-f]{64}")
_PINNED_AT_ONCE = 256
_RENAME_ATTEMPTS = 1000
_NOT_OURS = (errno.EINVAL, errno.ELOOP, errno.EACCES, errno.EISDIR)
"""A link, a directory, a file without permissions: the store makes none of these, so the blob is damaged."""


class File(Protocol):
    """A file that is to be made of a blob, at `path`."""

    @property
    def path(self) -> str: ...
    @property
    def hash(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def executable(self) -> bool: ...


class Inodes:
    """Owns `blobs/`: `ab/cdef...` with mode 0444, and beside it `ab/cdef....x` with mode 0555 once somebody needs it.

    Who may believe what: before its first use in a process a file is verified with its XXH3 from the database, or with
    its SHA-256 where there is no row (a process was killed between writing the blob and the row). At every later use a
    stat must still show the size, mode and modification time that the store gave it. A file that fails is removed and
    reported as missing. No fsync: after a power failure a blob may be torn, which is found like any other damage and
    costs a rebuild.

    At its first use a blob is also *pinned*: its change time is renewed while `lock` is shared, and gc, which holds
    `lock` alone while it removes, spares what changed since the oldest living process began.
    """

    def __init__(
        self,
        path: str,
        presence: Presence,
        lock: DirectoryLock,
        database: Database,
        batch: Batch,
        owner: tuple[int, int] | None,
    ) -> None:
        self.path = path
        self.presence = presence
        self.owner = owner
        self._lock = lock
        self._database = database
        self._batch = batch
        self._verified: tuple[dict[str, str], dict[str, str]] = {}, {}  # names by hash; of those that are executable
        self._pinned: set[str] = set()  # hashes
        self._checksums: dict[str, bytes] = {}
        self._pending: dict[str, tuple[int, bytes]] = {}
        self.dir_fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def ready(self, digest: Digest, executable: bool) -> str:
        """The name of a file that may be used now. Raises BlobMissing."""
        return self.number(digest, executable)[0]

    def number(self, digest: Digest, executable: bool) -> tuple[str, int]:
        """The name of a file that may be used now, and its inode's number. Raises BlobMissing."""
        mode = _EXECUTABLE if executable else _PLAIN
        name = self._verified[executable].get(digest.hash)
        if name is not None:
            try:
                status = os.stat(name, dir_fd=self.dir_fd, follow_symlinks=False)
                if _is_intact(status, digest, mode):
                    return name, status.st_ino
            except OSError:
                pass  # looked at again below, where it is reported
        name = blob_name(digest, executable)
        return name, self.verify(digest, name, mode)

    def link_known(self, files: Iterable[File], dest_dir_fd: int) -> list[int]:
        """Make each of the files a link, up to the first that was not verified or needs a closer look; the numbers of
        their inodes."""
        wanted = []
        for file in files:
            executable = file.executable
            name = self._verified[executable].get(file.hash)
            if name is None:
                break
            mode = stat.S_IFREG | (_EXECUTABLE if executable else _PLAIN)
            wanted.append((name, mode, file.size_bytes, file.path))
        return fastest()(tuple(wanted), self.dir_fd, dest_dir_fd, MODIFIED_NS) if wanted else []

    def has(self, digest: Digest) -> bool:
        """Whether the blob is there; it is pinned then, and stays for as long as this process lives."""
        if digest.hash in self._pinned:
            return True
        name = blob_name(digest)
        try:
            descriptor = self._pin(name, _PLAIN)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in _NOT_OURS:
                raise storage_error("read", os.path.join(self.path, name), error) from error
            self._remove(name, None)
            return False
        try:
            intact = _is_intact(os.fstat(descriptor), digest, _PLAIN)
        finally:
            os.close(descriptor)
        if intact:
            self._pinned.add(digest.hash)
            return True
        try:
            self.verify(digest, name, _PLAIN)
        except BlobMissing:
            return False
        return True

    def lost(self, digests: Iterable[Digest]) -> set[Digest]:
        """Those that are not there; the others are pinned, as by `has`, but many under one lock."""
        wanted = [digest for digest in digests if digest.hash not in self._pinned]
        lost: set[Digest] = set()
        for at in range(0, len(wanted), _PINNED_AT_ONCE):
            some = wanted[at : at + _PINNED_AT_ONCE]
            odd: list[Digest] = []
            self._lock.share()  # not for long: whoever collects garbage waits for it
            try:
                for digest in some:
                    try:
                        if not self._renew(digest):
                            odd.append(digest)
                    except FileNotFoundError:
                        lost.add(digest)
            finally:
                self._lock.release()
            lost.update(digest for digest in odd if not self.has(digest))
        return lost

    def exists(self, digest_hash: str) -> bool:
        """Whether something stands where the blob would; neither pinned nor verified."""
        try:
            os.stat(blob_name(Digest(digest_hash, 0)), dir_fd=self.dir_fd, follow_symlinks=False)
        except OSError:
            return False
        return True

    def verify(self, digest: Digest, name: str, mode: int) -> int:
        """Pin a file and compare all of it with its checksum; remove it where it is damaged.

        Returns its inode's number. Raises BlobMissing.
        """
        verified = self._verified[name.endswith(EXECUTABLE)]
        verified.pop(digest.hash, None)
        try:
            descriptor = self._pin(name, mode)
        except FileNotFoundError:
            raise self.missing(digest) from None
        except OSError as error:
            if error.errno not in _NOT_OURS:
                raise storage_error("read", os.path.join(self.path, name), error) from error
            self._remove(name, None)
            raise self.missing(digest, "was damaged and has been removed") from None
        try:
            self._verify_content(digest, name, descriptor)
            number = os.fstat(descriptor).st_ino
        except OSError as error:
            raise storage_error("read", os.path.join(self.path, name), error) from error
        finally:
            os.close(descriptor)
        verified[digest.hash] = name
        if not name.endswith(EXECUTABLE):
            self._pinned.add(digest.hash)
        return number

    def _verify_content(self, digest: Digest, name: str, descriptor: int) -> None:
        size_bytes, check = descriptor_checksum(descriptor)
        if check != self.checksum(digest.hash):
            # no row, a damaged row or a damaged blob: only the identity can tell
            os.lseek(descriptor, 0, os.SEEK_SET)
            found, check = descriptor_digest(descriptor)
            if found.hash != digest.hash:
                self._remove(name, descriptor)
                raise self.missing(digest, "was damaged and has been removed")
            size_bytes = found.size_bytes
            self._record(digest.hash, size_bytes, check)
        if size_bytes != digest.size_bytes:
            raise self.missing(digest, f"has {size_bytes} bytes, not {digest.size_bytes}")
        if os.fstat(descriptor).st_mtime_ns != MODIFIED_NS:
            os.utime(descriptor, ns=(MODIFIED_NS, MODIFIED_NS))

    def checksum(self, digest_hash: str) -> bytes | None:
        """The XXH3 that the database has for a blob, or None."""
        known = self._checksums.get(digest_hash)
        if known is None:
            row = self._database.run(partial(_select, bytes.fromhex(digest_hash)))
            if row is None or not isinstance(row[0], bytes):
                return None
            known = self._checksums[digest_hash] = row[0]
        return known

    def checksums(self, hashes: Sequence[str]) -> dict[str, bytes]:
        """The XXH3 that the database has for some hundred blobs; those that it does not know are left out."""
        marks = ",".join("?" * len(hashes))
        query = f"SELECT hash, xxh3 FROM blobs WHERE hash IN ({marks})"  # noqa: S608
        keys = [bytes.fromhex(digest_hash) for digest_hash in hashes]
        rows = self._database.run(lambda connection: connection.execute(query, keys).fetchall())
        found = {key.hex(): check for key, check in rows if isinstance(check, bytes)}
        found.update((hashed, self._pending[hashed][1]) for hashed in hashes if hashed in self._pending)
        return found

    def missing(self, digest: Digest, why: str = "is not in the store") -> BlobMissing:
        """The error to raise, after which the blob is looked for again at its next use."""
        self._verified[False].pop(digest.hash, None)
        self._pinned.discard(digest.hash)
        return BlobMissing(digest.hash, why)

    def open(self, name: str) -> int:
        """A descriptor to read a file. Raises OSError."""
        return open_regular(name, self.dir_fd)

    def create(self, temporary: str) -> int:
        """A descriptor to write a new file, out of everybody's reach until it is kept. Raises OSError."""
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        return os.open(temporary, flags, 0o600, dir_fd=self.presence.dir_fd)

    def seal(self, descriptor: int, mode: int) -> None:
        """Give a file the owner, mode and time of a blob. The owner first: changing it clears mode bits."""
        if self.owner:
            os.fchown(descriptor, *self.owner)
        os.fchmod(descriptor, mode)
        os.utime(descriptor, ns=(MODIFIED_NS, MODIFIED_NS))

    def keep(self, temporary: str, digest: Digest, check: bytes, executable: bool = False) -> None:
        """Give a finished file its name, and remember its checksum."""
        name = blob_name(digest, executable)
        self._rename(temporary, name)
        self._verified[executable][digest.hash] = name
        if not executable:
            self._pinned.add(digest.hash)
            self._record(digest.hash, digest.size_bytes, check)

    def drop(self, temporary: str) -> None:
        """Remove a file that was not kept, if it is there."""
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=self.presence.dir_fd)

    def forget(self) -> None:
        """Believe nothing any more: gc may have removed what was pinned."""
        for names in self._verified:
            names.clear()
        self._pinned.clear()

    def close(self) -> None:
        os.close(self.dir_fd)

    def write(self, connection: sqlite3.Connection) -> None:
        connection.executemany(
            "INSERT OR REPLACE INTO blobs (hash, size, xxh3) VALUES (?, ?, ?)",
            [(bytes.fromhex(digest_hash), size, check) for digest_hash, (size, check) in self._pending.items()],
        )

    def written(self) -> None:
        self._pending.clear()

    def _record(self, digest_hash: str, size_bytes: int, check: bytes) -> None:
        self._checksums[digest_hash] = check
        self._pending[digest_hash] = (size_bytes, check)
        self._batch.add()

    def _renew(self, digest: Digest) -> bool:
        """Pin a blob while the lock is shared; False where it has to be looked at more closely. Raises
        FileNotFoundError."""
        name = blob_name(digest)
        try:
            if not _is_intact(os.stat(name, dir_fd=self.dir_fd, follow_symlinks=False), digest, _PLAIN):
                return False
            os.chmod(name, _PLAIN, dir_fd=self.dir_fd)  # sets its change time
        except FileNotFoundError:
            raise
        except OSError:
            return False
        self._pinned.add(digest.hash)
        return True

    def _pin(self, name: str, mode: int) -> int:
        """Open a file and renew its change time. Raises OSError."""
        self._lock.share()
        try:
            descriptor = self.open(name)
            try:
                os.fchmod(descriptor, mode)
            except OSError:
                os.close(descriptor)
                raise
            return descriptor
        finally:
            self._lock.release()

    def _rename(self, temporary: str, name: str) -> None:
        self._lock.share()  # or a process that removes a damaged blob of this name could hit the new one
        try:
            for _ in range(_RENAME_ATTEMPTS):
                try:
                    os.rename(temporary, name, src_dir_fd=self.presence.dir_fd, dst_dir_fd=self.dir_fd)
                    return
                except FileNotFoundError:
                    # not there yet; or it was, and empty, and another process has just put its own in its place
                    self._make_directory(name[:2])
            os.rename(temporary, name, src_dir_fd=self.presence.dir_fd, dst_dir_fd=self.dir_fd)
        finally:
            self._lock.release()

    def _make_directory(self, name: str) -> None:
        """Make one that holds blobs, where there is room for it (see `placement`), unless somebody else does."""
        new = self.presence.temporary_name()
        os.mkdir(new, 0o711, dir_fd=self.presence.dir_fd)
        if self.owner:
            os.chown(new, *self.owner, dir_fd=self.presence.dir_fd, follow_symlinks=False)
        try:
            os.rename(new, name, src_dir_fd=self.presence.dir_fd, dst_dir_fd=self.dir_fd)
        except OSError as error:
            os.rmdir(new, dir_fd=self.presence.dir_fd)
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise

    def _remove(self, name: str, descriptor: int | None) -> None:
        """Remove a damaged file, but not a sound one that another process has put in its place meanwhile."""
        self._lock.hold()
        try:
            status = os.stat(name, dir_fd=self.dir_fd, follow_symlinks=False)
            if descriptor is None or os.path.samestat(status, os.fstat(descriptor)):
                remove_tree(self.dir_fd, name)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise storage_error("remove what is damaged at", os.path.join(self.path, name), error) from error
        finally:
            self._lock.release()


def blob_name(digest: Digest, executable: bool = False) -> str:
    """The file's name below `blobs/`. A digest may come from a stranger's record: it must not lead elsewhere."""
    digest_hash = digest.hash
    if not is_hash(digest_hash):
        raise BlobMissing(digest_hash[:80], "has no valid digest")
    return f"{digest_hash[:2]}/{digest_hash[2:]}{EXECUTABLE if executable else ''}"


def is_hash(text: str) -> bool:
    """Whether a text is SHA-256 in lower-case hexadecimal, and so cannot lead out of `blobs/`."""
    return _HASH.fullmatch(text) is not None


def _is_intact(status: os.stat_result, digest: Digest, mode: int) -> bool:
    """Whether a stat shows what the store made: any write since has changed it."""
    return (
        status.st_mtime_ns == MODIFIED_NS
        and status.st_size == digest.size_bytes
        and status.st_mode == stat.S_IFREG | mode
    )


def _select(key: bytes, connection: sqlite3.Connection) -> tuple[bytes] | None:
    row: tuple[bytes] | None = connection.execute("SELECT xxh3 FROM blobs WHERE hash=?", (key,)).fetchone()
    return row
