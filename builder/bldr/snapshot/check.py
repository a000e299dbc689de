"""The null build: when nothing has changed since the last build of a request succeeded, says so, and that is all.

A snapshot is believed where its file is whole and ours, where the request's key, the interpreter and the modules are
the same, and where a stat proves the rest. Whatever is in doubt is left to the whole build: None is the answer then.
"""

import os
import sys
import time

from bldr.snapshot.request import SET_BY_SHELLS, cache_directory, is_off, moves, request_key

TYPE_CHECKING = False  # see bldr.cli.main
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from bldr.snapshot.files import Snapshot
    from bldr.snapshot.proofs import Group, Place
    from bldr.snapshot.since import Since

WORTH_A_PROCESS = 4000
"""Files from which on a second process that checks half of them pays for itself."""

_TRIES = 10
_TRY_S = 0.01
"""How often, and how far apart, the workspace's lock is asked for before it is waited for, which is said."""

OUTPUTS = "bldr-out"
LOCK_NAME = ".lock"
"""Of a workspace: the folder of outputs, and the lock in it."""

_DAY_NS = 86_400_000_000_000


class HeldError(Exception):
    """Another process has the workspace at `root`: one that builds or, for who wants to build, one that looks."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.root = root


def answer(words: "Sequence[str]") -> int | None:
    """Do what the command line `words` asks for if that is nothing; the exit code, or None where a build must tell."""
    started_s = time.monotonic()
    if is_off(os.environ) or moves(words):
        return None
    try:
        directory = os.getcwd()
    except OSError:
        return None
    import gc

    gc.disable()
    try:
        code = _answer_when_free(words, directory, started_s)
        if code is None and is_fresh(directory):
            from bldr.snapshot import checkout

            code = checkout.answer(words, directory, started_s)
        return code
    finally:
        gc.enable()


def is_fresh(directory: str) -> bool:
    """Whether nothing was ever built in the workspace at `directory`, or its outputs were removed."""
    try:
        return set(os.listdir(f"{directory}/{OUTPUTS}")) <= {LOCK_NAME}
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _answer_when_free(words: "Sequence[str]", directory: str, started_s: float) -> int | None:
    try:
        return _answer(words, directory, started_s)
    except HeldError as held:
        root = held.root
    from bldr.snapshot.waiting import when_free

    # What the other has built may be what is asked for here.
    return when_free(root, words, lambda: _answer(words, directory, started_s, is_alone=True))


def _answer(words: "Sequence[str]", directory: str, started_s: float, *, is_alone: bool = False) -> int | None:
    """`is_alone`: whether the caller holds the workspace. Raises HeldError, unless it does."""
    from bldr.snapshot.files import ACTIONS, SINCE, place_of, read

    cache = cache_directory(words, os.environ)
    place = place_of(cache, request_key(words, directory, os.environ))
    snapshot = read(place, cache)
    if snapshot is None or not fits(snapshot.head, cache):
        return None
    held = -1 if is_alone else hold_workspace(snapshot.head["root"], alone=False)
    if held is None:
        return None
    try:
        from bldr.snapshot.since import Since, read_since

        since = read_since(place, cache, snapshot.head["base"]) if os.path.exists(place + SINCE) else Since()
        different = _different(snapshot, {*snapshot.head["unsettled"], *since.places})
        if different is None:
            return None
        if not different and not since.places:
            return say(snapshot.head, time.monotonic() - started_s)
        groups = all_groups(snapshot)
        changed = since.changed(different, groups, snapshot.head["unsettled"])
        if changed is None:
            return None
        if not changed:
            return say(snapshot.head, time.monotonic() - started_s)
        if not os.path.exists(place + ACTIONS):
            return None
        try:
            may_build = is_alone or _lock(held, alone=True)
        except OSError:  # NFS locks alone only what may be written to
            return None
        if not may_build:
            raise HeldError(snapshot.head["root"])  # the share is lost: somebody may have built
        return _build(place, cache, snapshot.head, changed, since, groups)
    finally:
        if held >= 0:
            os.close(held)


def _build(
    place: str, cache: str, head: "dict[str, Any]", changed: "list[Place]", since: "Since", groups: "dict[int, Group]"
) -> int | None:
    """Nothing but contents of sources has changed: what they reach is built, and nothing else is looked at."""
    if head["starter"]:
        _get_ready(head["starter"])
    from bldr.lean import import_msgspec

    import_msgspec()
    from bldr.snapshot.edited import Edit, build

    return build(Edit(place, cache, head["root"], head["base"], head["sources"], changed, since, groups))


def _get_ready(starter: str) -> None:
    """Begin what an action takes, which gets ready while this process imports what a build takes. See `Sandbox`."""
    from contextlib import suppress
    from importlib import import_module

    with suppress(Exception):  # whatever a plugin is like: the build will say what is the matter
        import_module(starter).get_ready()


def say(head: "dict[str, Any]", elapsed_s: float) -> int:
    """What the build of which nothing runs prints."""
    if head["summary"]:
        try:
            sys.stderr.write(f"{head['summary']}{_duration(elapsed_s)}\n")
            sys.stderr.flush()
        except OSError:  # nobody reads it: the exit code has to do, as after a build
            pass
    if head["stdout"]:
        sys.stdout.write(head["stdout"])
    return 0


def _duration(seconds: float) -> str:
    """As `bldr.report.text.duration`, for what takes less than a minute."""
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    from bldr.report.text import duration

    return duration(seconds)


def fits(head: "dict[str, Any]", cache: str) -> bool:
    """Whether the snapshot was made by this installation, for this cache, not too long ago."""
    from bldr import __version__

    if head["bldr"] != __version__ or head["python"] != [sys.executable, sys.version, sys.path]:
        return False
    if head["cache"] != cache or not 0 <= time.time_ns() - head["written_ns"] < _DAY_NS:
        return False  # once a day the results are used, so that garbage collection knows that they are
    passed_on: dict[str, str | None] = head["passed_on"]
    return all(name in SET_BY_SHELLS and os.environ.get(name) == value for name, value in passed_on.items())


def hold_workspace(root: str, *, alone: bool) -> int | None:
    """The workspace's lock, or a share of it, with which nobody builds; None where it cannot be had at all.

    Raises HeldError.
    """
    try:
        descriptor = os.open(
            f"{root}/{OUTPUTS}/{LOCK_NAME}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        )
    except OSError:
        return None
    try:
        for _ in range(_TRIES):
            if _lock(descriptor, alone=alone):
                return descriptor
            time.sleep(_TRY_S)
    except OSError:  # a file system that has no such locks
        os.close(descriptor)
        return None
    os.close(descriptor)
    raise HeldError(root)


def _lock(descriptor: int, *, alone: bool) -> bool:
    """Whether the lock, or a share of it, could be had at once; if not, what one had before is lost. Raises OSError."""
    import fcntl

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return False
    return True


def _different(snapshot: "Snapshot", allowed: "set[Place]") -> "list[Place] | None":
    """The files that are not as the snapshot says; None where anything else is not."""
    from bldr.snapshot.files import decoded
    from bldr.snapshot.proofs import are_absent, differing, differing_by_two, inodes_hold, listings_hold

    head = snapshot.head
    if not (inodes_hold(head["inodes"]) and are_absent(head["absent"]) and listings_hold(head["directories"])):
        return None
    if head["files"] >= WORTH_A_PROCESS:
        return differing_by_two(snapshot.parts, head["firsts"], allowed)
    found: list[Place] = []
    for part, first in zip(snapshot.parts, head["firsts"], strict=True):
        some = differing(decoded(part), first, allowed)
        if some is None:
            return None
        found += some
    return found


def all_groups(snapshot: "Snapshot") -> "dict[int, Group]":
    """Every group of a snapshot by its index."""
    from bldr.snapshot.files import decoded

    return dict(enumerate(group for part in snapshot.parts for group in decoded(part)))
