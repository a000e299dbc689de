"""A tree that an action is shown itself: what it reads is out of reach of its writes, and what it writes stands beside.

For that the contents must belong to somebody else than the action: links to blobs do where actions run as another user,
and small copies do anywhere, since a copy that was changed is found out and thrown away. It saves an overlay, whose
mounting, workspace and end cost more than a small action does; and when nothing but outputs came of an action, its
directories serve the next one as they are.
"""

import stat
import time
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

import msgspec

from bldr.execute.linktree import STAMP_NS, Owner, Wanted, make_directory
from bldr.execute.spares import DIRECTORY, Made, Spares, seen
from bldr.execute.trash import Trash
from bldr.plan.entries import Entry
from bldr.store.digest import Digest, bytes_digest
from bldr.store.removal import remove_tree
from bldr.store.store import Store
from bldr.system import os

_REALTIME_COARSE = 5  # linux/time.h: the clock that stamps files
_COPY_BYTES = 1 << 16
_SMALL_BYTES = 4096
_SMALL_NAMES = 40
"""So many names fit into a directory of `_SMALL_BYTES`, however long they are, or nearly."""


class _Leaf(NamedTuple):
    """One file or link as it was staged: its inode, and of a copy the change time, which no user can set. `is_fixed`:
    the inode is a blob's own, of which an action cannot change anything, and which it cannot free for another file."""

    entry: Entry
    inode: int
    mode: int
    changed_ns: int
    is_fixed: bool = False


class _Directory(msgspec.Struct):
    """One of our directories, and what we put there by name: links to blobs, of which the numbers of their inodes are
    all that must be known, other leaves, and directories."""

    made: Made
    links: dict[str, int] = {}
    leaves: dict[str, _Leaf] = {}
    directories: set[str] = set()
    size_bytes: int | None = None  # of a large one

    @property
    def count(self) -> int:
        """How many names it has from us."""
        return len(self.links) + len(self.leaves) + len(self.directories)


class DirectTree:
    """Owns one tree at `root`. `copies`: whether files are copies, because actions run as the owner of blobs; `trash`
    takes what would take long to remove, and `spares` what another tree can use."""

    def __init__(self, root: str, owner: Owner, trash: Trash, spares: Spares, *, copies: bool) -> None:
        self.root = root
        self._trash = trash
        self._spares = spares
        self._owner = owner
        self._copies = copies
        self._holds_copies = copies  # where a blob could not be linked, too
        self._entries: Mapping[str, Entry] = {}  # files and links by path
        self._directories: dict[str, _Directory] = {}
        self._strangers: list[str] = []
        self._touched: set[str] = set()
        self._staged_ns = 0
        make_directory(root, owner)
        self._fd = os.open(root, DIRECTORY)
        self._keep("", self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # Before an action

    def become(self, store: Store, tree: Wanted) -> None:
        """Hold `tree`. After an error it must be removed."""
        leaves, wanted, filled = tree
        kept = self._take_away(store, leaves, wanted)
        for directory in sorted(wanted - self._directories.keys()):
            if spare := self._spares.take(self._owner):
                place, made = spare
                os.rename(place, directory, dst_dir_fd=self._fd)
                self._directories[directory] = _Directory(made)
                self._touched.add(directory)
            else:
                make_directory(f"{self.root}/{directory}", self._owner)
                self._keep(directory)
            parent, _, name = directory.rpartition("/")
            self._directories[parent].directories.add(name)
            self._touched.add(parent)
        self._stage(store, [entry for path, entry in leaves.items() if path not in kept])
        self._touched.update(filled)
        self._entries = leaves
        for path in self._touched:
            os.utime(f"{self.root}/{path}" if path else self._fd, ns=(STAMP_NS, STAMP_NS))
            if self._directories[path].count > _SMALL_NAMES:
                self._directories[path].size_bytes = os.stat(f"{self.root}/{path}").st_size
        self._touched.clear()
        if self._holds_copies:
            self._staged_ns = time.clock_gettime_ns(_REALTIME_COARSE)

    def _take_away(self, store: Store, leaves: Mapping[str, Entry], wanted: Set[str]) -> set[str]:
        """Remove what is not wanted any more; the paths of the leaves that stay."""
        kept: set[str] = set()
        thrown_away = self._discard_full(self._directories.keys() - wanted)
        self._spares.expect(self._owner, thrown_away)  # the next tree is likely to have as many new ones
        for path, directory in self._directories.items():
            for name in (*directory.links, *directory.leaves):
                place = f"{path}/{name}" if path else name
                entry = self._entries[place]
                if leaves.get(place) == entry and self._is_sound(store, entry, directory.links.get(name)):
                    kept.add(place)
                    continue
                os.unlink(place, dir_fd=self._fd)
                if directory.links.pop(name, None) is None:
                    del directory.leaves[name]
                self._touched.add(path)
        for path in sorted(self._directories.keys() - wanted, reverse=True):
            directory = self._directories.pop(path)
            is_large = directory.size_bytes is not None
            if is_large or not self._spares.give(path, self._fd, self._owner, directory.made):
                os.rmdir(path, dir_fd=self._fd)
            self._touched.discard(path)
            self._take(path)
        return kept

    def _discard_full(self, unwanted: Set[str]) -> int:
        """Throw away whole those of the `unwanted` directories that hold much; what is below one is unwanted, too.
        Returns how many."""
        thrown_away = 0
        top_of: dict[str, str] = {}
        trees: dict[str, list[str]] = {}
        for path in sorted(unwanted):  # each after those above it
            top_of[path] = top = top_of.get(path.rpartition("/")[0], path)
            trees.setdefault(top, []).append(path)
        for top, directories in trees.items():
            if sum(self._directories[path].count for path in directories) <= _SMALL_NAMES:
                continue
            self._trash.add(top, self._fd)
            thrown_away += len(directories)
            for directory in directories:
                del self._directories[directory]
                self._touched.discard(directory)
            self._take(top)
        return thrown_away

    def _is_sound(self, store: Store, entry: Entry, linked: int | None) -> bool:
        """Whether the store vouches for what was staged, and for the inode that was linked. Raises BlobMissing."""
        if not entry.hash:
            return True
        inode = store.blobs.inode(Digest(entry.hash, entry.size_bytes), entry.executable)
        return linked is None or linked == inode

    def _stage(self, store: Store, new: Sequence[Entry]) -> None:
        files = [entry for entry in new if entry.hash]
        inodes: Sequence[int | None] = [None] * len(files)
        if self._copies:
            for entry in files:
                store.blobs.copy(Digest(entry.hash, entry.size_bytes), entry.executable, entry.path, self._fd)
        else:
            inodes = store.blobs.link_all(files, self._fd)
        for entry, inode in zip(files, inodes, strict=True):
            parent, _, name = entry.path.rpartition("/")
            if inode is None:
                self._holds_copies = True
                self._keep_leaf(entry)
            else:
                self._directories[parent].links[name] = inode
        if len(files) < len(new):
            for entry in new:
                if entry.link:
                    os.symlink(entry.link, entry.path, dir_fd=self._fd)
                    self._keep_leaf(entry)

    # After it

    def is_as_staged(self) -> bool:
        """Whether every file, link and directory is what it was, whatever was added; asked when the action is dead."""
        self._strangers = []
        opened = {"": self._fd}
        try:
            return all(self._is_directory_as_staged(directory, opened) for directory in sorted(self._directories))
        except OSError:  # not there, not a directory, or without permissions: all of that is a change
            return False
        finally:
            del opened[""]
            for descriptor in opened.values():
                os.close(descriptor)

    def _is_directory_as_staged(self, directory: str, opened: dict[str, int]) -> bool:
        if directory:
            parent, _, name = directory.rpartition("/")
            opened[directory] = os.open(name, DIRECTORY, dir_fd=opened[parent])
        here = opened[directory]
        known = self._directories[directory]
        status = os.fstat(here)
        most_bytes = _SMALL_BYTES if known.size_bytes is None else known.size_bytes
        if status.st_size > most_bytes or seen(here, status) != known.made:
            return False
        prefix = f"{directory}/" if directory else ""
        links = known.links
        found = 0
        others = []
        with os.scandir(here) as items:
            for item in items:
                if links.get(item.name) == item.inode():
                    found += 1
                else:
                    others.append(item.name)
        for name in others:
            leaf = self._leaf(directory, name)
            if leaf is None and name not in known.directories:
                self._strangers.append(prefix + name)
                continue
            found += 1
            if leaf is not None and not self._is_leaf_as_staged(leaf, name, here):
                return False
        self._touched.add(directory)
        return found == known.count

    def _leaf(self, directory: str, name: str) -> _Leaf | None:
        """What is known of a leaf; None where we put none."""
        known = self._directories.get(directory)
        if known is None:
            return None
        inode = known.links.get(name)
        if inode is None:
            return known.leaves.get(name)
        entry = self._entries[f"{directory}/{name}" if directory else name]
        return _Leaf(entry, inode, stat.S_IFREG | (0o555 if entry.executable else 0o444), 0, is_fixed=True)

    def is_untouched(self, path: str, status: os.stat_result) -> bool:
        """Whether a stat proves that a file is as it was staged."""
        parent, _, name = path.rpartition("/")
        leaf = self._leaf(parent, name)
        return leaf is not None and bool(leaf.entry.hash) and self._is_same(leaf, status) is True

    def _is_leaf_as_staged(self, leaf: _Leaf, name: str, here: int) -> bool:
        same = self._is_same(leaf, os.stat(name, dir_fd=here, follow_symlinks=False))
        if not leaf.entry.hash:
            return same is not False and os.readlink(name, dir_fd=here) == leaf.entry.link
        return _content(name, here) == leaf.entry.hash if same is None else same

    def _is_same(self, leaf: _Leaf, status: os.stat_result) -> bool | None:
        """What a stat tells of a leaf; None where only its content can."""
        if status.st_ino != leaf.inode or status.st_mode != leaf.mode:
            return False
        if not leaf.entry.hash:
            return True
        if status.st_mtime_ns != STAMP_NS or status.st_size != leaf.entry.size_bytes:
            return False
        if leaf.is_fixed:
            return True
        if status.st_ctime_ns != leaf.changed_ns:
            return False
        # A change within the tick of the clock in which the copy was made leaves the same time.
        return True if leaf.changed_ns < self._staged_ns else None

    def clean(self) -> None:
        """Take away what an action added to a tree that is as it was staged."""
        for path in self._strangers:
            parent, _, name = path.rpartition("/")
            try:
                os.unlink(path, dir_fd=self._fd)
            except FileNotFoundError:
                continue  # an output, which was taken
            except OSError:
                self._remove(parent, name)
        self._strangers = []

    def _remove(self, parent: str, name: str) -> None:
        descriptor = os.open(parent or ".", DIRECTORY, dir_fd=self._fd)
        try:
            remove_tree(descriptor, name)
        finally:
            os.close(descriptor)

    # What is known of it

    def _keep(self, directory: str, descriptor: int = -1) -> None:
        opened = descriptor if descriptor >= 0 else os.open(directory, DIRECTORY, dir_fd=self._fd)
        try:
            self._directories[directory] = _Directory(seen(opened, os.fstat(opened)))
        finally:
            if opened != descriptor:
                os.close(opened)
        self._touched.add(directory)

    def _keep_leaf(self, entry: Entry) -> None:
        status = os.stat(entry.path, dir_fd=self._fd, follow_symlinks=False)
        parent, _, name = entry.path.rpartition("/")
        self._directories[parent].leaves[name] = _Leaf(entry, status.st_ino, status.st_mode, status.st_ctime_ns)

    def _take(self, directory: str) -> None:
        parent, _, name = directory.rpartition("/")
        self._directories[parent].directories.discard(name)
        self._touched.add(parent)


def _content(name: str, here: int) -> str:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
    try:
        parts = []
        while part := os.read(descriptor, _COPY_BYTES):
            parts.append(part)
    finally:
        os.close(descriptor)
    return bytes_digest(b"".join(parts)).hash
