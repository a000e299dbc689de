"""Asks a `bldr watch` of the workspace for a request: whether anything has changed since its last build succeeded and,
where the watcher builds the very same, for a build.

One question on a connection, `question` behind its length, and one of these answers, behind which the watcher hangs up:

    same 0 SUMMARY 0 STDOUT 0           nothing has changed: this is what a build would say
    unknown                             whoever asks has to look himself
    wait 0 [wait 0 ...] ANSWER          the watcher builds it, by a build that began later than whoever asks, or by the
                                        next: said at once, and again and again until the answer is there; which is
                                        "unknown" or
    built 0 CODE 0 STDERR 0 STDOUT 0    what the build said, and the exit code of its command

An answer that is none of these, or does not come in time, is "unknown".

Nothing is imported at the top but what the interpreter has loaded already, and little more when somebody watches.
"""

import os
import sys
import time

from bldr.snapshot.request import SET_BY_SHELLS, cache_directory, is_off, moves, request_key

TYPE_CHECKING = False  # see bldr.cli.main
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FOLDER = "v1/watch"
"""Below the cache directory, which nobody but its owner enters: no checkout can plant anything there."""

PATIENCE_S = 0.1
"""An answer that takes longer would be no gain for most workspaces."""

SAME = b"same"
UNKNOWN = b"unknown"
WAIT = b"wait\0"
BUILT = b"built"
PROTOCOL = "bldr watch 2"
MOST_BYTES = 1 << 20


def ask(words: "Sequence[str]", begun_ns: int) -> int | None:
    """Do what the command line `words` asks for if a watcher knows that it is nothing, or does it; the exit code, or
    None. What was changed before `begun_ns` (by the monotonic clock) is to be in it."""
    started_s = time.monotonic()
    cache = cache_directory(words, os.environ)
    try:
        names = os.listdir(f"{cache}/{FOLDER}")
        if not names or is_off(os.environ) or moves(words):
            return None
        directory = os.getcwd()
        for root in _upwards(directory):
            name = name_of(root)
            if name in names:
                asked = question(words, directory, cache, os.environ, begun_ns)
                answer = _asked(f"{cache}/{FOLDER}", name, words, asked)
                return _told(answer, time.monotonic() - started_s)
    except OSError:
        pass  # nobody watches, or whoever does is in no state to answer
    return None


def name_of(root: str) -> str:
    """The name of the socket of who watches the workspace at `root`, in its folder."""
    from xxhash import xxh3_128_hexdigest

    return xxh3_128_hexdigest(root.encode("utf-8", "surrogateescape"))


def question(words: "Sequence[str]", directory: str, cache: str, environ: "Mapping[str, str]", begun_ns: int) -> bytes:
    """The request, and all of ours that decides whether a snapshot is meant for us: fields that end with a zero."""
    fields = [PROTOCOL, request_key(words, directory, environ), cache, namespace(), str(begun_ns), *installation()]
    fields += [f"{name}={environ[name]}" for name in SET_BY_SHELLS if name in environ]
    return "".join([f"{field}\0" for field in fields]).encode("utf-8", "surrogateescape")


def installation() -> "list[str]":
    """What runs here."""
    from bldr import __version__

    return [__version__, sys.executable, sys.version, str(len(sys.path)), *sys.path]


def namespace() -> str:
    """What decides which files the paths of this process name."""
    mounts, top = os.stat("/proc/self/ns/mnt"), os.stat("/")
    return f"{mounts.st_ino} {top.st_dev} {top.st_ino}"


def _upwards(directory: str) -> "list[str]":
    found = [directory]
    while directory != "/":
        directory = os.path.dirname(directory)
        found.append(directory)
    return found


def _asked(folder: str, name: str, words: "Sequence[str]", asked: bytes) -> bytes:
    """The answer of who listens. Raises OSError; also where that is somebody else than this user."""
    import _socket

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise PermissionError(folder)
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            connection.settimeout(PATIENCE_S)
            connection.connect(f"/proc/self/fd/{descriptor}/{name}")  # a path may be longer than an address
            if peer_of(connection) != os.geteuid():
                raise PermissionError(name)
            connection.send(len(asked).to_bytes(4, "little") + asked)
            answer = connection.recv(1 << 16)
            if answer.startswith(WAIT):
                from bldr.watch.awaited import answer_behind

                return answer_behind(connection, answer, words)
            while piece := connection.recv(1 << 16):
                answer += piece
            return answer
        finally:
            connection.close()
    finally:
        os.close(descriptor)


def peer_of(connection: "object") -> int:
    """The user at the other end, as the kernel knows: SO_PEERCRED of unix(7)."""
    import _socket

    credentials: bytes = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)  # type: ignore[attr-defined]
    return int.from_bytes(credentials[4:8], sys.byteorder)


def _told(answer: bytes, elapsed_s: float) -> int | None:
    """Say what was answered, as the build itself does; None for no answer."""
    kind, _, rest = answer.partition(b"\0")
    if kind == BUILT:
        from bldr.watch.awaited import repeat

        return repeat(rest)
    summary, end, printed = rest.partition(b"\0")
    if kind != SAME or not end or not printed.endswith(b"\0"):
        return None
    from bldr.snapshot.check import say

    stdout = printed[:-1].decode("utf-8", "surrogateescape")
    return say({"summary": summary.decode("utf-8", "surrogateescape"), "stdout": stdout}, elapsed_s)
