"""Proves a snapshot once, with a look at everything, and says of what it rests on who will tell when that changes.

This runs in a process of its own, forked from the one that watches: what it takes in is gone with it.
"""

import os
import stat
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bldr.snapshot import files
from bldr.snapshot.check import HeldError, all_groups, hold_workspace
from bldr.snapshot.proofs import UNFOLLOWED, are_absent, differing, inodes_hold, listings_hold, numbers
from bldr.snapshot.since import Since, read_since

if TYPE_CHECKING:
    from bldr.snapshot.proofs import Group

MOST_LOOKED_AT = 4096
"""More files than this that must be looked at for each answer make it no gain."""

Result = dict[str, Any]
BUSY: Result = {"busy": True}


class Proof:
    """What one snapshot rests on: directories of the workspace, as paths below its root, whose changes are told, and
    the rest, which is looked at for each answer. All that is here was so when the proof was begun."""

    __slots__ = ("_absent", "_concerned", "_looked_at", "head")

    def __init__(self, result: Result) -> None:
        self.head: dict[str, Any] = result["head"]
        self._concerned = frozenset(result["concerned"])
        self._absent = frozenset(result["absent"])
        self._looked_at: dict[str, Any] = result["looked_at"]

    def concerns(self, modified: Iterable[str], listed: Iterable[str]) -> bool:
        """Whether one of these changes may have changed what it rests on."""
        concerned = self._concerned
        return any(
            path in concerned or path.rpartition("/")[0] in concerned or path in self._absent
            for paths in (modified, listed)
            for path in paths
        )

    def still_holds(self) -> bool:
        """Whether what nobody tells of is as it was."""
        rest = self._looked_at
        return (
            inodes_hold(rest["inodes"])
            and are_absent(rest["absent"])
            and listings_hold(rest["directories"])
            and differing(rest["groups"], 0, ()) == []
        )


def prove(path: str, cache: str, root: str, watched: Collection[str]) -> Result | None:
    """Look at everything that the snapshot at `path` rests on; `watched` are the directories whose changes are told.

    None where it does not hold, or rests on too much that nobody tells of; `BUSY` while somebody builds.
    """
    snapshot = files.read(path, cache)
    if snapshot is None or snapshot.head["root"] != root:
        return None
    try:
        held = hold_workspace(root, alone=False)
    except HeldError:
        return BUSY
    if held is None:
        return BUSY
    try:
        since = read_since(path, cache, snapshot.head["base"])
        groups = all_groups(snapshot)
        newer = {index for index, _ in (*snapshot.head["unsettled"], *since.places)}
        try:
            result = _Division(root, watched).of(snapshot.head, groups, newer)
        except OSError:
            return None
        except _TooNewError:
            return BUSY
        return result if _holds(snapshot.head, groups, since) else None
    finally:
        os.close(held)


def _holds(head: dict[str, Any], groups: "Mapping[int, Group]", since: Since) -> bool:
    """Whether everything is as it was, or as it was noted to have become since."""
    if not (inodes_hold(head["inodes"]) and are_absent(head["absent"]) and listings_hold(head["directories"])):
        return False
    unsettled = head["unsettled"]
    different = differing(groups.values(), 0, {*unsettled, *since.places})
    return different is not None and since.changed(different, groups, unsettled) == []


class _TooNewError(Exception):
    """A file that has to be looked at for each answer may change again within the clock's granularity."""


class _Division:
    """Sorts what a snapshot rests on into what is told and what is looked at."""

    def __init__(self, root: str, watched: Collection[str]) -> None:
        self._prefix = f"{root}/"
        self._root = root
        self._watched = watched
        self._concerned: set[str] = set()
        self._absent: list[str] = []
        self._count = 0

    def of(self, head: dict[str, Any], groups: "Mapping[int, Group]", newer: Collection[int]) -> Result | None:
        """What to remember of a snapshot; the `newer` among its groups have not all the signatures that it says.

        Done before everything is looked at, so that what is looked at for each answer is what was found good.
        """
        looked_at: dict[str, list[Any]] = {"inodes": [], "absent": [], "directories": [], "groups": []}
        for path in head["absent"]:
            below = self._below(os.path.dirname(path))
            if below is None:
                looked_at["absent"].append(path)
            else:
                self._absent.append(path[len(self._prefix) :])
        for entry in head["inodes"]:
            if not self._is_told(os.path.dirname(entry[0])):
                looked_at["inodes"].append(entry)
        for entry in head["directories"]:
            if not self._is_told(entry[0]):
                looked_at["directories"].append(entry)
        for index, group in groups.items():
            rest = self._untold(group)
            if index in newer and rest == [group]:
                return None
            looked_at["groups"] += rest
            self._count += sum(len(some[2]) for some in rest)
        self._count += sum(map(len, (looked_at["inodes"], looked_at["absent"], looked_at["directories"])))
        if self._count > MOST_LOOKED_AT:
            return None
        kept = ("bldr", "python", "cache", "written_ns", "passed_on", "summary", "stdout")
        return {
            "head": {name: head[name] for name in kept},
            "concerned": sorted(self._with_those_above()),
            "absent": self._absent,
            "looked_at": looked_at,
        }

    def _below(self, path: str) -> str | None:
        """A directory's path below the root if it is watched."""
        if path == self._root:
            return ""
        below = path[len(self._prefix) :]
        return below if path.startswith(self._prefix) and below in self._watched else None

    def _is_told(self, directory: str) -> bool:
        below = self._below(directory)
        if below is None:
            return False
        self._concerned.add(below)
        return True

    def _with_those_above(self) -> set[str]:
        """Who is renamed takes along what is below."""
        found = set(self._concerned)
        for path in self._concerned:
            while path and (path := path.rpartition("/")[0]) and path not in found:
                found.add(path)
        return found

    def _untold(self, group: "Group") -> "Sequence[Group]":
        """The files of a group whose changes nobody tells of: of a watched directory, links and files with names
        elsewhere."""
        kind, directory, names, _ = group
        if not self._is_told(directory):
            return [group]
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        found: dict[str, bytes] = {}
        try:
            for name in names:
                status = os.lstat(name, dir_fd=descriptor)
                is_link = stat.S_ISLNK(status.st_mode) and kind != UNFOLLOWED
                if is_link or (status.st_nlink > 1 and stat.S_ISREG(status.st_mode)):
                    if is_link:
                        status = os.stat(name, dir_fd=descriptor)
                    if not files.is_settled(status):
                        raise _TooNewError
                    found[name] = array("q", numbers(status)).tobytes()
        finally:
            os.close(descriptor)
        return [(kind, directory, tuple(found), b"".join(found.values()))] if found else []
