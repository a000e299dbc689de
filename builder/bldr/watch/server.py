"""Answers whether anything has changed since the last build of a request succeeded: from proof, or not at all. Whoever
asks for what the watcher builds itself may wait for its next build, and is told what that says.

A proof is one look at everything that the snapshot of a request rests on, begun when all of it that is in the workspace
was watched, and no change since that may concern it. In any doubt the answer is "unknown", and who asked looks.
"""

import fcntl
import os
import signal
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Any

from bldr.snapshot.files import FOLDER as SNAPSHOTS
from bldr.snapshot.files import decoded, encoded, place_of
from bldr.watch import client, inotify
from bldr.watch.builder import Message
from bldr.watch.changes import Changes
from bldr.watch.inotify import Inotify
from bldr.watch.mounts import Mounts
from bldr.watch.proving import BUSY, Proof, Result, prove
from bldr.watch.question import Question
from bldr.watch.tree import Tree
from bldr.watch.waiters import Waiters
from bldr.watch.watching import Source

_MOST_KEYS = 16
_QUIET_S = 0.05
_LONGEST_S = 60.0
"""How long after a change a proof is begun: at first, and where changes that are no reason to build keep coming."""

_BUSY_S = 0.5
"""How long after somebody else was found building."""

_PATIENCE_S = 0.1
"""As long as a client waits for the first answer."""


class Claim:
    """One request that may be asked about: its proof, or when one should be made."""

    __slots__ = ("breaks", "due_s", "proof")

    def __init__(self) -> None:
        self.proof: Proof | None = None
        self.due_s = 0.0
        """When to prove; 0 while there is nothing new to be proven."""
        self.breaks = 0
        """How often what was proven, or was being proven, changed, and nobody had asked or built meanwhile."""

    def prove_at_once(self) -> None:
        """There is something new to be proven, or somebody who wants to know."""
        self.proof = None
        self.breaks = 0
        self.due_s = time.monotonic()

    def prove_later(self) -> None:
        """What it rests on changed: the more often that happens, the later is looked again."""
        self.proof = None
        self.due_s = time.monotonic() + min(_QUIET_S * 4**self.breaks, _LONGEST_S)
        self.breaks = min(self.breaks + 1, 10)


class Server:
    """Owns the socket of one watched workspace. `key` is the request that the watcher builds, "" for none.

    Raises OSError where there can be none; BlockingIOError where another watcher has it.
    """

    def __init__(self, root: str, cache: str, key: str = "") -> None:
        self._root = root
        self._cache = cache
        self._namespace = client.namespace()
        self._key = key
        self._installation = client.installation()
        self._is_shared = False  # whether others may be told what the watcher's builds say
        self._begun_ns = 0  # of the build that runs; 0 while none does
        self._waiters = Waiters()
        self._claims: OrderedDict[str, Claim] = OrderedDict([(key, Claim())] if key else ())
        self._tree: Tree | None = None
        self._identity: tuple[int, int] | None = None
        self._prover: Prover | None = None
        self._snapshots = -1
        self._mounts = Mounts()
        self._inotify = Inotify()
        self._address = Address(cache, client.name_of(root))

    def descriptors(self) -> list[int]:
        """What to wait for, to be read."""
        found = [self._address.listener.fileno(), self._inotify.descriptor]
        return found if self._prover is None else [*found, self._prover.descriptor]

    def owned(self) -> list[int]:
        """What a process that is forked from this one has to close."""
        return [*self.descriptors(), *self._waiters.descriptors(), self._address.lock, self._mounts.descriptor]

    def due_s(self) -> float | None:
        """When, by the clock that does not jump, `prove` has something to do."""
        if self._tree is None or self._prover is not None:
            return None
        return min((claim.due_s for claim in self._claims.values() if claim.due_s), default=None)

    def close(self) -> None:
        """Take the socket away."""
        self._waiters.dismiss()
        if self._prover is not None:
            self._prover.kill()
        self._address.close()
        self._mounts.close()
        self._inotify.close()

    # What happens

    def watched(self, source: Source | None) -> None:
        """From here on this tells of changes; with none, or one that may miss some, nothing is known."""
        self._doubt()
        self._waiters.dismiss()
        self._tree = source if isinstance(source, Tree) else None
        if self._tree is not None:
            try:
                status = os.stat(self._tree.root)
            except OSError:
                self._tree = None  # gone already, which it will tell
                return
            self._identity = status.st_dev, status.st_ino

    @property
    def want_a_build(self) -> bool:
        """Whether somebody waits for a build that has not begun."""
        return self._waiters.want_a_build

    def begun(self, at_ns: int, *, changed: bool) -> bool:
        """A build begins that takes in whatever happened until `at_ns`; whether somebody waits for it. `changed`:
        whether it has a reason."""
        self._begun_ns = at_ns
        if changed and self._prover is not None:  # would prove nothing, and keep the build waiting
            claim = self._claims.get(self._prover.key)
            if claim is not None:
                claim.prove_later()
            self._prover.kill()
            self._prover = None
        return self._waiters.begin()

    def ended(self, shared: Message | None) -> None:
        """A build has ended; what others may be told of it, if anything."""
        self._begun_ns = 0
        self._is_shared = shared is not None
        self._waiters.end(lambda question: self._said_to(question, shared))

    def built(self) -> None:
        """A build has ended: what it wrote can be proven."""
        self._watch_snapshots()
        for claim in self._claims.values():
            if claim.proof is None:
                claim.prove_at_once()

    def note(self, changes: Changes) -> None:
        """Something changed: what rests on it is not known any more."""
        if changes.lost or changes.gone:
            self._doubt()
            return
        if self._prover is not None:
            self._prover.changes.add(changes)
        for claim in self._claims.values():
            if claim.proof is not None and claim.proof.concerns(changes.modified, changes.listed):
                claim.prove_later()

    def serve(self, ready: Collection[int], look: Callable[[], Changes]) -> None:
        """Take what is there to be taken; `look` brings every change until now to `note`."""
        if self._inotify.descriptor in ready:
            self._read_snapshots()
        if self._prover is not None and self._prover.descriptor in ready:
            self._take_proof(look)
        if self._address.listener.fileno() in ready:
            while self._answer(look):
                pass
        self._waiters.keep_alive()

    def prove(self, look: Callable[[], Changes], *, idle: bool) -> None:
        """Begin the next proof if one is due and nobody builds."""
        due_s = self.due_s()
        if not idle or due_s is None or due_s > time.monotonic():
            return
        look()
        tree = self._tree
        due = [(key, claim) for key, claim in self._claims.items() if claim.due_s]
        if tree is None or not due or self._snapshots < 0:
            return
        key, claim = min(due, key=lambda pair: pair[1].due_s)
        if claim.due_s > time.monotonic():
            return
        claim.due_s = 0.0
        self._mounts.changed()
        if self._mounts.strangers(self._root):
            return
        path = place_of(self._cache, key)
        self._prover = Prover(key, self.owned(), lambda: prove(path, self._cache, self._root, tree.directories))

    # Proofs

    def _take_proof(self, look: Callable[[], Changes]) -> None:
        assert self._prover is not None
        result = self._prover.read()
        if result is None:
            return
        look()  # up to here the prover takes note of what changes
        prover, self._prover = self._prover, None
        claim = self._claims.get(prover.key)
        if claim is None:
            return
        proven = result.get("proven")
        if proven == BUSY:
            claim.due_s = claim.due_s or time.monotonic() + _BUSY_S
        elif proven is not None:
            proof = Proof(proven)
            changes = prover.changes
            if prover.is_doubtful or proof.concerns(changes.modified, changes.listed):
                claim.prove_later()
            elif not claim.due_s:
                claim.proof = proof

    def _doubt(self) -> None:
        """Nothing is known any more."""
        if self._prover is not None:
            self._prover.is_doubtful = True
        for claim in self._claims.values():
            if claim.proof is not None:
                claim.prove_later()

    def _watch_snapshots(self) -> None:
        if self._snapshots < 0:
            try:
                self._snapshots = self._inotify.add(f"{self._cache}/{SNAPSHOTS}")
            except OSError:
                return  # not there before the first one is written

    def _read_snapshots(self) -> None:
        """Snapshots are written by every `bldr`, and taken away by some."""
        for event in self._inotify.read():
            if event.mask & (inotify.Q_OVERFLOW | inotify.SELF | inotify.IGNORED):
                self._snapshots = -1
                self._doubt()
                self._watch_snapshots()
                continue
            key = event.name.partition(".")[0]
            claim = self._claims.get(key)
            if claim is not None and not event.name.endswith(".new"):  # one that is not there yet
                claim.proof = None
                if event.mask & inotify.MOVED_TO:
                    claim.prove_at_once()
                if self._prover is not None and self._prover.key == key:
                    self._prover.is_doubtful = True

    # Questions

    def _answer(self, look: Callable[[], Changes]) -> bool:
        """Answer one question; whether there was one."""
        try:
            connection, _ = self._address.listener.accept()
        except OSError:
            return False
        answer = b""
        try:
            connection.settimeout(_PATIENCE_S)
            if client.peer_of(connection) == os.geteuid():
                question = Question(_receive(connection))
                look()
                answer = self._answer_to(question)
                connection.sendall(answer)
        except (OSError, ValueError):  # whoever asked does not wait, or asked for nothing
            answer = b""
        if answer == client.WAIT:
            self._waiters.add(connection, question, joins=question.begun_ns <= self._begun_ns)
        else:
            connection.close()
        return True

    def _answer_to(self, question: Question) -> bytes:
        if (question.cache, question.namespace) != (self._cache, self._namespace):
            return client.UNKNOWN
        self._read_snapshots()
        key = question.key
        claim = self._claims.get(key)
        if claim is None:
            claim = self._claims[key] = Claim()
            claim.prove_at_once()
            while len(self._claims) > _MOST_KEYS:
                self._claims.popitem(last=False)
        self._claims.move_to_end(key)
        if not self._is_here():
            return client.UNKNOWN
        if claim.proof is not None and question.fits(claim.proof.head):
            if claim.proof.still_holds():
                claim.breaks = 0
                return _said_by(claim.proof.head)
            claim.proof = None  # what was looked at stays so until another build
        is_built = key == self._key and self._is_shared and question.installation == self._installation
        return client.WAIT if is_built and not self._waiters.is_full else client.UNKNOWN

    def _said_to(self, question: Question, shared: Message | None) -> bytes:
        """What whoever waited for the build that has ended is told."""
        if shared is None or not self._is_here() or not question.has(shared["passed_on"]):
            return client.UNKNOWN
        if not shared["is_whole"]:
            return client.WAIT
        said = [text.encode("utf-8", "surrogatepass") for text in shared["said"]]
        return b"\0".join((client.BUILT, str(shared["exit_code"]).encode(), *said, b""))

    def _is_here(self) -> bool:
        """Whether the workspace's path still leads to what is watched. Where anything was mounted meanwhile, in it or
        elsewhere, nothing is known any more; a build that somebody waits for looks at everything by itself."""
        if self._mounts.changed():
            self._doubt()
        try:
            status = os.stat(self._root)
        except OSError:
            return False
        return self._tree is not None and (status.st_dev, status.st_ino) == self._identity


class Address:
    """Owns a socket in the cache directory, and the lock that says whose it is."""

    def __init__(self, cache: str, name: str) -> None:
        folder = f"{cache}/{client.FOLDER}"
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._name = name
        self.lock = -1
        try:
            status = os.fstat(self._folder)
            if status.st_uid != os.geteuid() or status.st_mode & 0o077:
                raise PermissionError(f"{folder} is not ours alone")
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self.lock = os.open(f"{name}.lock", flags, 0o600, dir_fd=self._folder)
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._unlink()  # of a watcher that was killed
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.listener.setblocking(False)
            self.listener.bind(f"/proc/self/fd/{self._folder}/{name}")
            os.chmod(name, 0o600, dir_fd=self._folder)
            self.listener.listen(64)
        except BaseException:
            self._close_descriptors()
            raise

    def close(self) -> None:
        """Take the socket away, and then let go of the lock."""
        self.listener.close()
        self._unlink()
        self._close_descriptors()

    def _unlink(self) -> None:
        try:
            os.unlink(self._name, dir_fd=self._folder)
        except FileNotFoundError:
            return

    def _close_descriptors(self) -> None:
        for descriptor in (self.lock, self._folder):
            if descriptor >= 0:
                os.close(descriptor)


class Prover:
    """Owns a process that proves one request; `changes` are those since it began."""

    def __init__(self, key: str, foreign: Collection[int], work: Callable[[], Result | None]) -> None:
        self.key = key
        self.changes = Changes()
        self.is_doubtful = False
        self._pieces: list[bytes] = []
        self.descriptor, writing = os.pipe2(os.O_CLOEXEC)
        self._process = os.fork()
        if not self._process:
            _work(foreign, work, writing)
        os.close(writing)
        os.set_blocking(self.descriptor, False)

    def read(self) -> dict[str, Any] | None:
        """The result as {"proven": ...}, empty where the process failed; None before it is there."""
        try:
            while piece := os.read(self.descriptor, 1 << 20):
                self._pieces.append(piece)
        except BlockingIOError:
            return None
        os.close(self.descriptor)
        _, status = os.waitpid(self._process, 0)
        return decoded(b"".join(self._pieces)) if status == 0 else {}

    def kill(self) -> None:
        """End it."""
        os.kill(self._process, 9)
        os.close(self.descriptor)
        os.waitpid(self._process, 0)


def _work(foreign: Collection[int], work: Callable[[], Result | None], writing: int) -> None:
    """The life of a process that proves."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        for descriptor in foreign:
            os.close(descriptor)
        answer = memoryview(encoded({"proven": work()}))
        while answer:
            answer = answer[os.write(writing, answer) :]
        os._exit(0)
    finally:
        os._exit(1)


def _receive(connection: socket.socket) -> bytes:
    """A question. Raises OSError where it does not come in time, or is none."""
    data = b""
    size = 4
    while len(data) < size:
        piece = connection.recv(1 << 16)
        if not piece:
            raise ConnectionError
        data += piece
        if len(data) >= 4:
            size = 4 + int.from_bytes(data[:4], "little")
            if size > client.MOST_BYTES:
                raise ConnectionError
    return data[4:]


def _said_by(head: dict[str, Any]) -> bytes:
    """What the build of which nothing runs says, by the head of its snapshot."""
    said = (head[name].encode("utf-8", "surrogateescape") for name in ("summary", "stdout"))
    return b"\0".join((client.SAME, *said, b""))
