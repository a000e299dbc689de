"""Proofs by stat: that files, directories and absent names are what they were when the snapshot was made.

A signature is five numbers, as in `bldr.execute.sources`. A group is (kind, directory, names, signatures packed as
64-bit numbers); `FREE` groups hold sources, whose contents may have changed, all others must be as they were.
"""

import os
import stat
import sys

TYPE_CHECKING = False  # see bldr.cli.main
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    Group = tuple[int, str, tuple[str, ...], bytes]
    Place = tuple[int, int]
    Listed = tuple[str, bytes, bytes, bool]

FOLLOWED = 0
UNFOLLOWED = 1
FREE = 2
"""Kinds of groups: links are followed, are not followed, or followed to sources."""

MOST_DIFFERENT = 512
"""More differences than this are work for a whole build."""

_COMPILED_VERSION = 2  # as in signatures.c

_OPEN = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)


def numbers(status: os.stat_result) -> tuple[int, int, int, int, int]:
    """The signature of one file."""
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size, status.st_mode


def differing(groups: "Iterable[Group]", first: int, unsettled: "Collection[Place]") -> "list[Place] | None":
    """Which files have another signature, as (index of the group, position in it); the first group's index is `first`.

    None as soon as something differs that must not, or cannot be told.
    """
    here = compiled() or differing_here
    found: list[Place] = []
    for index, (kind, directory, names, packed) in enumerate(groups, first):
        positions = here(directory, names, packed, kind != UNFOLLOWED)
        if positions is None:
            return None
        for position in positions:
            place = (index, position)
            if (kind != FREE and place not in unsettled) or len(found) == MOST_DIFFERENT:
                return None
            found.append(place)
    return found


def compiled() -> "Callable[[str, tuple[str, ...], bytes, bool], list[int] | None] | None":
    """`differing_here` in C; None where that was not compiled, or from another version of the source, or where names of
    files are not UTF-8, which is what it takes them for."""
    if sys.getfilesystemencoding() != "utf-8":
        return None
    try:
        from bldr.snapshot._signatures import VERSION, differing_here
    except ImportError:
        return None
    return differing_here if VERSION == _COMPILED_VERSION else None


def differing_here(directory: str, names: "tuple[str, ...]", packed: bytes, follow: bool) -> "list[int] | None":
    """The positions of files in one directory that have another signature; None where one cannot be looked at.

    Signatures are consumed one by one: keeping them would cost twice the time.
    """
    look = os.stat if follow else os.lstat
    wanted = iter(memoryview(packed).cast("q").tolist())
    found: list[int] = []
    try:
        descriptor = os.open(directory, _OPEN)
    except OSError:
        return None
    try:
        for name, mtime, ctime, inode, size, mode in zip(names, wanted, wanted, wanted, wanted, wanted, strict=False):
            status = look(name, dir_fd=descriptor)
            if (
                status.st_mtime_ns != mtime
                or status.st_ctime_ns != ctime
                or status.st_ino != inode
                or status.st_size != size
                or status.st_mode != mode
            ):
                found.append(names.index(name))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return found


def differing_by_two(
    halves: "Sequence[memoryview]", firsts: "Sequence[int]", unsettled: "Collection[Place]"
) -> "list[Place] | None":
    """`differing` of two halves of a snapshot at once: by two threads where C does it, else by two processes."""
    from bldr.snapshot.files import decoded

    if compiled():
        return _by_two_threads(halves, firsts, unsettled)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            _prove_second(halves[1], firsts[1], unsettled, writing)
        finally:
            os._exit(1)
    os.close(writing)
    try:
        found = differing(decoded(halves[0]), firsts[0], unsettled)
        pieces = []
        while piece := os.read(reading, 1 << 16):
            pieces.append(piece)
    finally:
        os.close(reading)
        _, status = os.waitpid(child, 0)
    if status or found is None:
        return None
    others = decoded(b"".join(pieces))
    return None if others is None else found + others


def _by_two_threads(
    halves: "Sequence[memoryview]", firsts: "Sequence[int]", unsettled: "Collection[Place]"
) -> "list[Place] | None":
    import _thread

    from bldr.snapshot.files import decoded

    answers: list[list[Place] | None] = []
    running = _thread.allocate_lock()
    running.acquire()

    def prove_second() -> None:
        try:
            answers.append(differing(decoded(halves[1]), firsts[1], unsettled))
        finally:
            running.release()

    try:
        _thread.start_new_thread(prove_second, ())
    except RuntimeError:  # there is no room for another thread
        prove_second()
    try:
        found = differing(decoded(halves[0]), firsts[0], unsettled)
    finally:
        running.acquire()
    if found is None or not answers or answers[0] is None:
        return None
    return found + answers[0]


def _prove_second(half: "memoryview", first: int, unsettled: "Collection[Place]", writing: int) -> None:
    if TYPE_CHECKING:
        import signal as _signal
    else:
        import _signal

    from bldr.snapshot.files import decoded, encoded

    for name in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        _signal.signal(name, _signal.SIG_DFL)  # the parent says that it was interrupted
    answer = memoryview(encoded(differing(decoded(half), first, unsettled)))
    while answer:
        answer = answer[os.write(writing, answer) :]
    os._exit(0)


def listings_hold(directories: "Iterable[Listed]") -> bool:
    """Whether every directory lists what it did: by its signature or, where that differs, by its names."""
    for path, packed, wanted, is_whole in directories:
        try:
            status = os.lstat(path)
            if tuple(memoryview(packed).cast("q")) != numbers(status) and listing(path, whole=is_whole) != wanted:
                return False
        except OSError:
            return False
    return True


def listing(path: str, *, whole: bool) -> bytes:
    """A digest of the names in a directory, of what each is, and of where links lead. Raises OSError.

    Unless it is to be of the `whole` directory, names that the loader of workspaces never enters are left out.
    """
    from bldr.load.names import NEVER_ENTERED

    lines = []
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_symlink():
                lines.append(f"{entry.name}\0link\0{os.readlink(entry.path)}")
            elif entry.is_dir(follow_symlinks=False):
                if whole or entry.name not in NEVER_ENTERED:
                    lines.append(f"{entry.name}\0directory")
            else:
                lines.append(f"{entry.name}\0{'file' if entry.is_file(follow_symlinks=False) else 'special'}")
    return listing_digest(lines, is_directory=stat.S_ISDIR(os.lstat(path).st_mode))


def listing_digest(lines: "list[str]", *, is_directory: bool) -> bytes:
    """The digest of a listing's lines: name, kind and, of a link, its target, with NUL between them."""
    from xxhash import xxh3_128_digest

    lines.sort()
    lines.append("a directory itself" if is_directory else "a link to one")
    return xxh3_128_digest("\n".join(lines).encode("utf-8", "surrogateescape"))


def inodes_hold(inodes: "Iterable[tuple[str, int, int]]") -> bool:
    """Whether the same inodes (path, number, type), no links to them, still stand at these paths."""
    for path, inode, kind in inodes:
        try:
            status = os.lstat(path)
        except OSError:
            return False
        if status.st_ino != inode or stat.S_IFMT(status.st_mode) != kind:
            return False
    return True


def are_absent(paths: "Iterable[str]") -> bool:
    """Whether nothing has come to stand at these paths. What the user may not look at is absent, as it was before."""
    for path in paths:
        try:
            os.stat(path)
        except OSError:
            continue
        return False
    return True


def is_content(path: str, known: tuple[str, bool], *, follow: bool) -> bool:
    """Whether the file at `path` has this SHA-256 (or is the link that leads to this: `-> target`) and execute bit."""
    wanted, executable = known
    try:
        if wanted.startswith("-> "):
            return wanted == f"-> {os.readlink(path)}"
        found = hashed(path, follow=follow)
    except OSError:
        return False
    return found == (wanted, executable)


def hashed(path: str, *, follow: bool) -> tuple[str, bool]:
    """SHA-256 and execute bit of the file at `path`. Raises OSError; for what is no file, too."""
    from hashlib import sha256

    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise IsADirectoryError(path)
        total = sha256()
        while chunk := os.read(descriptor, 1 << 20):
            total.update(chunk)
        return total.hexdigest(), bool(status.st_mode & stat.S_IXUSR)
    finally:
        os.close(descriptor)
