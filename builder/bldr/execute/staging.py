"""Staging: the directories that actions read from and write to, lent to one action after the other.

Directories are dear: where the disk is told of every block that is freed (`discard`), removing one takes as long as a
small action. So what no action can reach or change serves the next action again, with only the differences staged, and
what an action wrote is removed while others run.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, Protocol

from bldr.api.sandbox import StagedTree
from bldr.execute.direct import DirectTree
from bldr.execute.linktree import NOTHING, STAMP_NS, LinkTree, Owner, Wanted, make_directory, parents, tree_of
from bldr.execute.spares import Spares
from bldr.execute.trash import Trash
from bldr.graph.actions import ActionNode
from bldr.plan.entries import Entry
from bldr.store.digest import bytes_digest
from bldr.store.errors import storage_error
from bldr.store.removal import remove_tree
from bldr.store.store import Store
from bldr.system import os

__all__ = ["STAMP_NS", "TOOLS_PATH", "TREE_PATH", "DirectStage", "Kind", "Stage", "Staged", "Stages", "wanted_of"]

TREE_PATH = "/build"
TOOLS_PATH = "/tools"

_MOST_USED = 16
"""So many stages wait to be cleaned at most."""

_MOST_CLEAN = 16
"""So many wait to serve again: one that holds nearly what is wanted is worth more than any."""


_DIRECTORY_LINKS = 20
"""So many links cost what making and removing a directory does."""

_NEW_STAGE = 3 * _DIRECTORY_LINKS

_NEAR = 4
"""What takes so few links is as good as what takes none: looking at all stages costs as much as some links do."""

Kind = Literal["layers", "links", "copies"]
"""How an action sees its inputs: below a layer of its own, or in its own directories."""


class Staged(Protocol):
    """The directories of one action at a time below the store's staging area; gone after `remove`."""

    kind: Kind
    owner: Owner
    tree: StagedTree
    tools: str
    log: str
    holds: Wanted

    def fill(
        self,
        store: Store,
        node: ActionNode,
        inputs: Sequence[Entry],
        tools: Sequence[Entry],
        wanted: Wanted | None = None,
    ) -> None:
        """Put every input at its place; `wanted` is what `wanted_of` says, where that was asked before. Raises
        BlobMissing for content that the store lost, CacheError where there is no room for it."""

    def clean(self) -> bool:
        """Take away all that an action wrote and could have changed, so that nothing of it reaches the next; False
        where that cannot be."""

    def remove(self) -> None:
        """Delete everything, whatever the action made of its directories."""


class _Directories:
    """What stages of every kind are made of: a directory, a log, and tools where there are any."""

    def __init__(self, parent: str, name: str, owner: Owner) -> None:
        self.owner = owner
        self.directory = os.path.join(parent, name)
        self._parent = parent
        self._name = name
        make_directory(self.directory, None)
        self.tools = os.path.join(self.directory, "tools")
        self.log = os.path.join(self.directory, "log")
        self.holds = NOTHING
        self._tools = LinkTree(self.tools, owner)

    def remove(self) -> None:
        descriptor = os.open(self._parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove_tree(descriptor, self._name)
        finally:
            os.close(descriptor)


class Stage(_Directories):
    """A tree of two layers: links to blobs, and above them what the action writes."""

    def __init__(self, parent: str, name: str, owner: Owner) -> None:
        super().__init__(parent, name, owner)
        self.kind: Kind = "layers"
        lower, upper, work = (os.path.join(self.directory, part) for part in ("lower", "upper", "work"))
        self.tree = StagedTree(TREE_PATH, lower, upper, work)
        self._lower = LinkTree(lower, owner)
        make_directory(work, owner)

    def fill(
        self,
        store: Store,
        node: ActionNode,
        inputs: Sequence[Entry],
        tools: Sequence[Entry],
        wanted: Wanted | None = None,
    ) -> None:
        """See `Staged`."""
        _store_files(store, node)
        self.holds = wanted or wanted_of(node, inputs)
        with _told(self.directory):
            make_directory(self.tree.upper, self.owner)
            self._lower.become(store, self.holds)
            self._tools.become(store, _tools_tree(tools))

    def clean(self) -> bool:
        """See `Staged`."""
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove_tree(descriptor, "upper")
            remove_tree(descriptor, "log")
            # The overlay's own: it makes a directory of this name and finds it in the way the next time.
            remove_tree(descriptor, "work/work")
        finally:
            os.close(descriptor)
        return True


class DirectStage(_Directories):
    """A tree that is shown itself, of links or of copies; see `DirectTree`."""

    def __init__(self, parent: str, name: str, owner: Owner, kind: Kind, trash: Trash, spares: Spares) -> None:
        super().__init__(parent, name, owner)
        self.kind = kind
        upper = os.path.join(self.directory, "tree")
        self.tree = StagedTree(TREE_PATH, "", upper, "")
        self._direct = DirectTree(upper, owner, trash, spares, copies=kind == "copies")
        self._is_as_staged = True

    def fill(
        self,
        store: Store,
        node: ActionNode,
        inputs: Sequence[Entry],
        tools: Sequence[Entry],
        wanted: Wanted | None = None,
    ) -> None:
        """See `Staged`."""
        self._is_as_staged = False
        _store_files(store, node)
        self.holds = wanted or wanted_of(node, inputs)
        with _told(self.directory):
            self._direct.become(store, self.holds)
            self._tools.become(store, _tools_tree(tools))

    def is_untouched(self, path: str, status: os.stat_result) -> bool:
        """See `DirectTree.is_untouched`."""
        return self._direct.is_untouched(path, status)

    def is_as_staged(self) -> bool:
        """Whether the action that has ended left every input and directory as it was."""
        self._is_as_staged = self._direct.is_as_staged()
        return self._is_as_staged

    def clean(self) -> bool:
        """See `Staged`."""
        if not self._is_as_staged:
            return False
        self._direct.clean()
        # An empty log serves again where it was never the action's own.
        status = _lstat(self.log)
        if status is not None and (self.owner is None or status.st_size):
            os.unlink(self.log)
        return True

    def remove(self) -> None:
        """See `Staged`."""
        self._direct.close()
        super().remove()


class Stages:
    """Lends stages and takes them back; used ones are cleaned when there is time for it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._clean: list[Staged] = []
        self._used: deque[tuple[Staged, bool]] = deque()
        self._made = 0
        self._trash = Trash(store.staging)
        self._spares = Spares(store.staging)

    def take(self, owner: Owner, kind: Kind = "layers", wanted: Wanted | None = None) -> Staged:
        """A stage with nothing in it that was written: of those that there are, the one nearest to what is wanted.
        Raises CacheError."""
        fitting = [stage for stage in self._clean if stage.owner == owner and stage.kind == kind]
        if fitting:
            aim = wanted or fitting[-1].holds
            nearest, least = _nearest(fitting, aim)
            if least <= _NEW_STAGE + _distance(NOTHING, aim) or len(self._clean) >= _MOST_CLEAN:
                self._clean.remove(nearest)
                return nearest
        self._made += 1
        name = str(self._made)
        with _told(self._store.staging):
            if kind == "layers":
                return Stage(self._store.staging, name, owner)
            return DirectStage(self._store.staging, name, owner, kind, self._trash, self._spares)

    def give_back(self, stage: Staged, *, may_serve_again: bool) -> None:
        """The action is done with it. `may_serve_again`: nobody who lives can hold a descriptor of anything in it."""
        self._used.append((stage, may_serve_again))
        if len(self._used) > _MOST_USED:
            self.tidy()

    def tidy(self) -> bool:
        """Clean one used stage, or make or remove a directory; False where there is nothing to do."""
        if not self._used:
            return self._spares.make_ahead() or self._trash.remove_one()
        stage, may_serve_again = self._used.popleft()
        if may_serve_again and stage.clean():
            self._clean.append(stage)
        else:
            stage.remove()
        return True

    def close(self) -> None:
        """Remove all that were given back."""
        try:
            for stage in (*self._clean, *(stage for stage, _ in self._used)):
                stage.remove()
        finally:
            self._clean.clear()
            self._used.clear()
            self._trash.close()


def wanted_of(node: ActionNode, inputs: Sequence[Entry]) -> Wanted:
    """What the tree of an action is to hold: its files by path, and directories that outputs need."""
    directories = {"", *(parent for output in node.action.outputs for parent in parents(output.path))}
    directories.update(
        output.path for output in node.action.outputs if output.is_directory and output.path in node.optional_outputs
    )
    leaves = {entry.path: entry for entry in inputs if entry.hash or entry.link}
    if len(leaves) < len(inputs):
        directories.update(entry.path for entry in inputs if not entry.hash and not entry.link)
    for path, text in node.action.files:
        digest = bytes_digest(text.encode())
        leaves[path] = Entry(path, digest.hash, digest.size_bytes)
        directories.discard(path)
    return tree_of(leaves, directories)


@contextmanager
def _told(place: str) -> Iterator[None]:
    """What cannot be made is told of as by the store. Raises CacheError."""
    try:
        yield
    except OSError as error:
        raise storage_error("stage an action in", place, error) from error


def _store_files(store: Store, node: ActionNode) -> None:
    for _, text in node.action.files:
        store.blobs.put_bytes(text.encode())


def _tools_tree(entries: Sequence[Entry]) -> Wanted:
    if not entries:
        return NOTHING
    leaves = {entry.path: entry for entry in entries if entry.hash or entry.link}
    return tree_of(leaves, [entry.path for entry in entries if not entry.hash and not entry.link])


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _nearest(stages: Sequence[Staged], aim: Wanted) -> tuple[Staged, int]:
    """The stage that takes least to become what is wanted, and how much; or the last that takes next to nothing."""
    nearest, least = stages[-1], _distance(stages[-1].holds, aim)
    for stage in reversed(stages[:-1]):
        if least <= _NEAR:
            break
        distance = _distance(stage.holds, aim)
        if distance < least:
            nearest, least = stage, distance
    return nearest, least


def _distance(one: Wanted, other: Wanted) -> int:
    """What it costs, in links, to make one tree of another."""
    alike = 0
    if not one.filled.isdisjoint(other.filled):
        alike = len(one.leaves.keys() & other.leaves.keys())  # half a dozen times faster than what differs
    leaves = len(one.leaves) + len(other.leaves) - 2 * alike
    return leaves + _DIRECTORY_LINKS * len(one.directories ^ other.directories)
