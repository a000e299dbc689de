"""A tree of links to blobs that no action can change, and what trees of every kind have in common."""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import NamedTuple

from bldr.plan.entries import Entry
from bldr.store.digest import Digest
from bldr.store.store import Store
from bldr.system import os

STAMP_NS = 315_532_800 * 10**9
"""Modification time of everything staged: 1980-01-01, the earliest that every archive format can hold."""

Owner = tuple[int, int] | None


class Wanted(NamedTuple):
    """What a tree holds: files and links by path, and all its directories, of which "" is the root; `filled` are those
    that hold files or links themselves."""

    leaves: Mapping[str, Entry]
    directories: Set[str]
    filled: Set[str]


NOTHING = Wanted({}, frozenset(), frozenset())


class LinkTree:
    """A tree of links to blobs that no action can change, and that becomes another tree by its differences."""

    def __init__(self, root: str, owner: Owner) -> None:
        self._root = root
        self._owner = owner
        self._entries: Mapping[str, Entry] = {}
        self._directories: Set[str] = set()

    def become(self, store: Store, tree: Wanted) -> None:
        """Hold `tree`. After an error it must be removed."""
        leaves, wanted, _ = tree
        touched = self._take_away(store, leaves, wanted)
        for directory in sorted(wanted - self._directories):
            make_directory(self._place(directory), self._owner)
            touched |= {directory, directory.rpartition("/")[0]}
        new = [entry for path, entry in leaves.items() if path not in self._entries]
        if new:
            self._stage(store, new)
            touched.update(entry.path.rpartition("/")[0] for entry in new)
        for directory in touched & wanted:
            os.utime(self._place(directory), ns=(STAMP_NS, STAMP_NS))
        self._entries, self._directories = leaves, wanted

    def _stage(self, store: Store, new: Sequence[Entry]) -> None:
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            store.blobs.link_all([entry for entry in new if entry.hash], descriptor)
        finally:
            os.close(descriptor)
        for entry in new:
            if entry.link:
                os.symlink(entry.link, self._place(entry.path))

    def _take_away(self, store: Store, leaves: Mapping[str, Entry], wanted: Set[str]) -> set[str]:
        """Remove what is not wanted any more; returns the directories that were changed by it."""
        touched: set[str] = set()
        kept: dict[str, Entry] = {}
        for path, entry in self._entries.items():
            if leaves.get(path) == entry and self._is_sound(store, path, entry):
                kept[path] = entry
            else:
                os.unlink(self._place(path))
                touched.add(path.rpartition("/")[0])
        for directory in sorted(self._directories - wanted, reverse=True):
            os.rmdir(self._place(directory))
            touched.add(directory.rpartition("/")[0])
        self._entries, self._directories = kept, self._directories & wanted
        return touched

    def _is_sound(self, store: Store, path: str, entry: Entry) -> bool:
        """Whether the link still leads to what the store vouches for. Raises BlobMissing."""
        if not entry.hash:
            return True
        blob = os.stat(store.blobs.path(Digest(entry.hash, entry.size_bytes), entry.executable))
        return os.path.samestat(os.lstat(self._place(path)), blob)

    def _place(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root


def tree_of(leaves: Mapping[str, Entry], directories: Iterable[str]) -> Wanted:
    """The tree that holds `leaves`, `directories`, and all that must be there for them."""
    filled = {path.rpartition("/")[0] for path in leaves}
    bottom = filled.union(directories)
    return Wanted(leaves, bottom.union(*map(parents, bottom)), filled)


def make_directory(path: str, owner: Owner) -> None:
    """A directory whose mode does not depend on the umask."""
    os.mkdir(path)
    os.chmod(path, 0o755)  # whatever the caller's umask is: actions see it
    if owner is not None:
        os.chown(path, *owner)


def parents(path: str) -> list[str]:
    """All directories above `path`, the root's "" included."""
    found = [""]
    found.extend(path[:index] for index, character in enumerate(path) if character == "/")
    return found
