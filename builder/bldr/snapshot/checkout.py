"""A fresh checkout of what another one has built: proven by contents, and its outputs written out of the cache.

Everything is read and compared with the twin of the other's snapshot (see `twin`): Builderfiles, directories, sources.
Where all of it is the same, so is every key, and what the other build got is what this one would get: nothing is
parsed, analysed or looked up for it. Outputs are written beside and renamed into their place, and what was seen on the
way becomes the snapshot of this checkout.
"""

import os
import stat
import time

from bldr.snapshot import files
from bldr.snapshot.check import LOCK_NAME, OUTPUTS, HeldError, fits, hold_workspace, say
from bldr.snapshot.proofs import FREE, UNFOLLOWED, are_absent, differing, inodes_hold, listing, numbers
from bldr.snapshot.request import cache_directory, twin_key
from bldr.snapshot.twin import CONTENT_BYTES, EXECUTABLE, HASH_BYTES, LINK, SIZE_BYTES, TWIN

TYPE_CHECKING = False  # see bldr.cli.main
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    Content = tuple[bytes, int, int]
    Seen = tuple[bytes, list[int]]

_WORK = ".bldr-work"  # as `WORK_NAME` of bldr.graph.actions, which is too dear to import
_MOST_PROCESSES = 4
_WORTH_A_PROCESS = 500  # files
_MOST_UNSETTLED = 2048
_CHUNK_BYTES = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class _DifferentError(Exception):
    """Something is not as the twin says, or cannot be told: the whole build has to look."""


def answer(words: "Sequence[str]", directory: str, started_s: float) -> int | None:
    """Do what the command line `words` asks for in the workspace that has its root at `directory`, where another
    checkout has done just that; the exit code, or None where the whole build must tell."""
    cache = cache_directory(words, os.environ)
    key = twin_key(words, directory, os.environ)
    place = files.place_of(cache, key)
    if not key or not os.path.exists(place + TWIN):
        return None
    try:
        with_lock = _take_workspace(directory)
    except (OSError, HeldError):
        return None
    if with_lock is None:
        return None
    try:
        # Who collects garbage takes away snapshots first: it waits until ours is written, and takes that, too.
        kept = files.share_folder(cache)
        try:
            return _answer(words, directory, cache, place, started_s)
        finally:
            os.close(kept)
    except (OSError, _DifferentError):
        return None
    finally:
        os.close(with_lock)


def _take_workspace(directory: str) -> int | None:
    """The workspace's lock, where there is nothing else in the folder of outputs. Raises OSError."""
    out = f"{directory}/{OUTPUTS}"
    try:
        os.mkdir(out)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(out).st_mode):
            return None
    os.close(os.open(f"{out}/{LOCK_NAME}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644))
    held = hold_workspace(directory, alone=True)
    if held is not None and os.listdir(out) != [LOCK_NAME]:  # somebody was faster
        os.close(held)
        return None
    return held


def _answer(words: "Sequence[str]", directory: str, cache: str, place: str, started_s: float) -> int | None:
    twin = files.read(place + TWIN, cache)
    if twin is None or not fits(twin.head, cache):
        return None
    checkout = _Checkout(directory, cache, twin.head, files.decoded(twin.parts[0]))
    checkout.compare()
    checkout.write_outputs()
    from bldr.snapshot.request import request_key

    checkout.keep(files.place_of(cache, request_key(words, directory, os.environ)), place)
    return say(twin.head, time.monotonic() - started_s)


class _Checkout:
    """One fresh checkout at `root`, and what was seen of it: a signature for every file, by the twin's groups."""

    def __init__(self, root: str, cache: str, head: "dict[str, Any]", groups: "list[tuple[Any, ...]]") -> None:
        self._root = root
        self._out = f"{root}/{OUTPUTS}"
        self._work = f"{self._out}/{_WORK}"
        self._cache = cache
        self._head = head
        self._groups = groups
        inside = head["inside"]
        self._read = [index for index in inside if groups[index][0] != UNFOLLOWED]
        self._made = [index for index in inside if groups[index][0] == UNFOLLOWED]
        self._seen: dict[int, Seen] = {}
        self._listed: list[tuple[str, bytes, bytes, bool]] = []

    def compare(self) -> None:
        """Look at everything that a build of this checkout would read. Raises _DifferentError, OSError."""
        head = self._head
        inside = set(head["inside"])
        outside = [group for index, group in enumerate(self._groups) if index not in inside]
        from bldr.snapshot.proofs import listings_hold

        if not (inodes_hold(head["inodes"]) and are_absent(head["absent"]) and listings_hold(head["directories"])):
            raise _DifferentError
        if differing(outside, 0, ()) != []:
            raise _DifferentError
        for path, wanted, is_whole in head["listed"]:
            if not is_whole:  # those are outputs, which are not there yet
                self._compare_directory(f"{self._root}/{path}".rstrip("/"), wanted)
        self._seen.update(_by_processes(self._read, self._weight, self._compare_group))

    def _compare_directory(self, directory: str, wanted: bytes) -> None:
        before_ns = time.time_ns()
        status = os.lstat(directory)
        if listing(directory, whole=False) != wanted:
            raise _DifferentError
        self._listed.append((directory, _signature(status, before_ns), wanted, False))

    def _weight(self, index: int) -> int:
        return len(self._groups[index][2])

    def _compare_group(self, index: int) -> "Seen":
        """Read files and compare them with what they should be; their signatures, and which of those prove nothing."""
        from hashlib import sha256

        _, directory, names, packed = self._groups[index]
        signatures: list[int] = []
        unsettled: list[int] = []
        descriptor = os.open(f"{self._root}/{directory}", _DIRECTORY)
        try:
            for position, (name, (digest, size_bytes, kind)) in enumerate(zip(names, _contents(packed), strict=True)):
                now_ns = time.time_ns()
                file = os.open(name, _READ, dir_fd=descriptor)
                try:
                    status = os.fstat(file)
                    if status.st_size != size_bytes or not stat.S_ISREG(status.st_mode):
                        raise _DifferentError
                    if bool(status.st_mode & stat.S_IXUSR) != (kind == EXECUTABLE):
                        raise _DifferentError
                    data = os.read(file, min(size_bytes + 1, _CHUNK_BYTES))
                    found = sha256(data)
                    while len(data) == _CHUNK_BYTES:
                        data = os.read(file, _CHUNK_BYTES)
                        found.update(data)
                    if found.digest() != digest:
                        raise _DifferentError
                finally:
                    os.close(file)
                signatures += numbers(status)
                if now_ns - max(status.st_mtime_ns, status.st_ctime_ns) <= files.SETTLED_NS:
                    unsettled.append(position)
        finally:
            os.close(descriptor)
        return _packed(signatures), unsettled

    def write_outputs(self) -> None:
        """Write all outputs beside and put them into their place. Raises OSError, _DifferentError."""
        from bldr.store.placement import spread

        out_fd = os.open(self._out, _DIRECTORY | os.O_NOFOLLOW)
        try:
            spread(out_fd)  # new directories lie apart, where there is room for files
            os.mkdir(_WORK, dir_fd=out_fd)
            try:
                for folder in self._head["folders"]:
                    os.mkdir(f"{self._work}/{folder}")
                self._seen.update(_by_processes(self._made, self._weight, self._write_group))
                # Nobody writes to what nobody can name: a signature that is old enough by the time of the renaming
                # proves the content for good.
                time.sleep(files.SETTLED_NS / 1e9)
                for name in os.listdir(self._work):
                    os.rename(f"{_WORK}/{name}", name, src_dir_fd=out_fd, dst_dir_fd=out_fd)
                os.rmdir(_WORK, dir_fd=out_fd)
            except BaseException:
                from bldr.store.removal import remove_tree

                remove_tree(out_fd, _WORK)
                raise
        finally:
            os.close(out_fd)
        for index in self._made:
            _, directory, names, _ = self._groups[index]
            if directory == OUTPUTS:  # these have been renamed themselves, which changes a signature
                found = [numbers(os.lstat(f"{self._out}/{name}")) for name in names]
                self._seen[index] = _packed([number for one in found for number in one]), []

    def _write_group(self, index: int) -> "Seen":
        from hashlib import sha256

        _, directory, names, packed = self._groups[index]
        signatures: list[int] = []
        below = f"{self._work}/{directory[len(OUTPUTS) + 1 :]}"
        blobs_fd = os.open(f"{self._cache}/v1/blobs", _DIRECTORY)
        descriptor = os.open(below, _DIRECTORY | os.O_NOFOLLOW)
        try:
            for position, (name, (digest, size_bytes, kind)) in enumerate(zip(names, _contents(packed), strict=True)):
                if kind == LINK:
                    os.symlink(self._head["links"][index, position], name, dir_fd=descriptor)
                    signatures += numbers(os.lstat(f"{below}/{name}"))
                    continue
                hashed = digest.hex()
                blob = os.open(f"{hashed[:2]}/{hashed[2:]}", _READ | os.O_NOFOLLOW, dir_fd=blobs_fd)
                try:
                    file = os.open(name, _CREATE, 0o755 if kind == EXECUTABLE else 0o644, dir_fd=descriptor)
                    try:
                        data = os.read(blob, min(size_bytes + 1, _CHUNK_BYTES))
                        found = sha256(data)
                        _write_all(file, data)
                        while len(data) == _CHUNK_BYTES:
                            data = os.read(blob, _CHUNK_BYTES)
                            found.update(data)
                            _write_all(file, data)
                        status = os.fstat(file)
                    finally:
                        os.close(file)
                finally:
                    os.close(blob)
                if status.st_size != size_bytes or found.digest() != digest:
                    raise _DifferentError  # the cache is damaged, and the whole build mends it
                signatures += numbers(status)
        finally:
            os.close(descriptor)
            os.close(blobs_fd)
        return _packed(signatures), []

    def keep(self, place: str, twin: str) -> None:
        """Write the snapshot of this checkout to `place`, where everything can be proven by a stat from now on."""
        groups: list[tuple[int, str, tuple[str, ...], bytes]] = []
        unsettled: dict[tuple[int, int], tuple[str, bool]] = {}
        for index, (kind, directory, names, packed) in enumerate(self._groups):
            if index not in self._seen:
                groups.append((kind, directory, names, packed))
                continue
            signatures, doubtful = self._seen[index]
            if doubtful and kind != FREE:
                return
            for position in doubtful:
                at = position * CONTENT_BYTES
                is_executable = packed[at + CONTENT_BYTES - 1] == EXECUTABLE
                unsettled[index, position] = packed[at : at + HASH_BYTES].hex(), is_executable
            groups.append((kind, f"{self._root}/{directory}".rstrip("/"), names, signatures))
        if len(unsettled) > _MOST_UNSETTLED:
            return
        head = {name: value for name, value in self._head.items() if name not in _OF_TWINS}
        now_ns = time.time_ns()
        for path, wanted, is_whole in self._head["listed"]:
            if is_whole:
                directory = f"{self._root}/{path}"
                self._listed.append((directory, _signature(os.lstat(directory), now_ns), wanted, True))
        folders = [self._out, *(f"{self._out}/{folder}" for folder in self._head["folders"])]
        inodes = [(folder, os.lstat(folder).st_ino, stat.S_IFDIR) for folder in folders]
        head.update(
            root=self._root,
            inodes=[*self._head["inodes"], *inodes],
            directories=[*self._head["directories"], *self._listed],
            unsettled=unsettled,
        )
        first = head["firsts"][1]
        files.remove(place + files.SINCE)  # of an earlier snapshot, which may have had the same twin
        files.remove(place + files.ACTIONS)
        if os.path.exists(twin + TWIN + files.ACTIONS):
            os.link(twin + TWIN + files.ACTIONS, place + files.ACTIONS)
        files.write(place, head, [files.encoded(groups[:first]), files.encoded(groups[first:])])
        files.prune(self._cache)


_OF_TWINS = frozenset(("listed", "inside", "links", "folders", "sizes"))


def _by_processes(
    indexes: "list[int]", weight: "Callable[[int], int]", work: "Callable[[int], Seen]"
) -> "dict[int, Seen]":
    """Do some work for every group, in as many processes as there are processors and enough files for.

    Raises _DifferentError, OSError: also for what went wrong in another process.
    """
    total = sum(map(weight, indexes))
    number = max(1, min(os.cpu_count() or 1, _MOST_PROCESSES, total // _WORTH_A_PROCESS))
    shares: list[list[int]] = [[] for _ in range(number)]
    count = 0
    for index in indexes:
        shares[min(number - 1, count * number // max(1, total))].append(index)
        count += weight(index)
    others = [_start(share, work) for share in shares[1:]]
    failure: BaseException | None = None
    found: dict[int, Seen] = {}
    try:
        found = {index: work(index) for index in shares[0]}
    except (OSError, _DifferentError) as error:
        failure = error
    for child, reading in others:
        data = _read_all(reading)
        _, status = os.waitpid(child, 0)
        if status:
            failure = failure or _DifferentError()
        else:
            found.update(files.decoded(data))
    if failure is not None:
        raise failure
    return found


def _start(share: "list[int]", work: "Callable[[int], Seen]") -> tuple[int, int]:
    """A process that does its share; its number, and the descriptor that its answer can be read from."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    try:
        if TYPE_CHECKING:
            import signal as _signal
        else:
            import _signal

        for name in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
            _signal.signal(name, _signal.SIG_DFL)  # the parent says that it was interrupted
        _write_all(writing, files.encoded({index: work(index) for index in share}))
        os._exit(0)
    finally:
        os._exit(1)


def _read_all(reading: int) -> bytes:
    pieces = []
    try:
        while piece := os.read(reading, _CHUNK_BYTES):
            pieces.append(piece)
    finally:
        os.close(reading)
    return b"".join(pieces)


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def _contents(packed: bytes) -> "Iterator[Content]":
    for at in range(0, len(packed), CONTENT_BYTES):
        size_at = at + HASH_BYTES
        kind_at = size_at + SIZE_BYTES
        yield packed[at:size_at], int.from_bytes(packed[size_at:kind_at], "little"), packed[kind_at]


def _signature(status: os.stat_result, before_ns: int) -> bytes:
    """What proves a directory that was listed after `before_ns`; zeros, which prove nothing, where it is too new."""
    newest_ns = max(status.st_mtime_ns, status.st_ctime_ns)
    return _packed(numbers(status) if newest_ns <= before_ns - files.SETTLED_NS else (0, 0, 0, 0, 0))


def _packed(values: "Sequence[int]") -> bytes:
    from array import array

    return array("q", values).tobytes()
