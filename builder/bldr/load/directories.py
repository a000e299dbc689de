"""What lies in the directories of a source tree: listed once each, lazily, never a `stat` per file."""

from collections.abc import Collection, Iterator
from enum import Enum

from bldr.load.names import NEVER_ENTERED
from bldr.system import os

MOST_LINKS = 40
"""Links that are followed for one name, as many as Linux follows."""


class Kind(Enum):
    FILE = "file"
    LINK = "link"
    SPECIAL = "special"


class Boundary(Enum):
    """Why the files of a directory do not belong to the package above it."""

    PACKAGE = "is a package of its own"
    WORKSPACE = "is a workspace of its own"
    CACHE = "is marked as a cache by its file CACHEDIR.TAG"
    IGNORED = 'is named by "ignore" in [workspace]'


class LinkError(Exception):
    """A symbolic link that cannot be followed; the text continues a sentence: "is a link that ..."."""


class Directory:
    """One directory: `host` is its path on this machine, `path` its path below the tree's root ("" for the root)."""

    __slots__ = ("_entries", "_log", "boundary", "host", "parent", "path")

    def __init__(self, host: str, path: str = "", parent: "Directory | None" = None, log: list[str] | None = None):
        self.host = host
        self.path = path
        self.parent = parent
        self.boundary: Boundary | None = None
        self._log: list[str] = [] if log is None else log
        self._entries: dict[str, Directory | Kind] | None = None

    @property
    def entries(self) -> "dict[str, Directory | Kind]":
        """What stands here by name, but for the directories that are never entered. Raises OSError."""
        if self._entries is None:
            self._entries = self._list()
            self._log.append(self.path)
        return self._entries

    def _list(self) -> "dict[str, Directory | Kind]":
        entries: dict[str, Directory | Kind] = {}
        above = f"{self.path}/" if self.path else ""
        with os.scandir(self.host) as listing:
            for entry in listing:
                name = entry.name
                if entry.is_file(follow_symlinks=False):
                    entries[name] = Kind.FILE
                elif entry.is_symlink():
                    entries[name] = Kind.LINK
                elif not entry.is_dir(follow_symlinks=False):
                    entries[name] = Kind.SPECIAL
                elif name not in NEVER_ENTERED:
                    entries[name] = Directory(f"{self.host}/{name}", above + name, self, self._log)
        return entries

    @classmethod
    def of(cls, entries: "dict[str, Directory | Kind]", path: str, parent: "Directory | None" = None) -> "Directory":
        """A directory that is nowhere on this machine: it holds what it is said to hold."""
        directory = cls("", path, parent)
        directory._entries = entries
        return directory

    @property
    def read(self) -> list[str]:
        """The paths of all directories of this tree that were listed."""
        return self._log


def walk(top: Directory, ignored: Collection[str]) -> Iterator[Directory]:
    """`top` and every directory below it that may hold a package: parents first, names in order, links not followed.

    Hidden directories hold no packages. Whoever takes a directory may set its `boundary` to keep the walk out of what
    is below it, and may add to `ignored` meanwhile. Directories that cannot be listed are yielded too: their `entries`
    raise the OSError.
    """
    waiting = [top]
    while waiting:
        directory = waiting.pop()
        yield directory
        if directory.boundary not in (None, Boundary.PACKAGE):
            continue
        try:
            entries = directory.entries
        except OSError:
            continue
        below = []
        for name, entry in entries.items():
            if isinstance(entry, Directory) and not name.startswith("."):
                if entry.path in ignored:
                    entry.boundary = Boundary.IGNORED
                else:
                    below.append(entry)
        below.sort(key=lambda entry: entry.path, reverse=True)
        waiting += below


def follow(package: Directory, directory: Directory, name: str) -> Directory | Kind:
    """What the link `name` in `directory` leads to, inside `package` all the way.

    Raises LinkError for a link that leaves the package, leads to nothing or goes in a circle, and OSError.
    """
    steps = [name]
    at = directory
    links = 0
    while steps:
        step = steps.pop()
        if step in ("", "."):
            continue
        if step == "..":
            if at is package or at.parent is None:
                raise LinkError("leaves the package")
            at = at.parent
            continue
        entry = at.entries.get(step)
        if entry is None:
            raise LinkError("leads to nothing")
        if entry is Kind.LINK:
            links += 1
            if links > MOST_LINKS:
                raise LinkError("goes in a circle")
            target = os.readlink(f"{at.host}/{step}")
            if target.startswith("/"):
                raise LinkError("leaves the package")
            steps += reversed(target.split("/"))
        elif isinstance(entry, Directory):
            if entry.boundary is not None:
                raise LinkError("leaves the package")
            at = entry
        elif steps:
            raise LinkError("leads to nothing")
        else:
            return entry
    return at
