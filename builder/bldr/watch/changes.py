"""What changed in a tree since somebody last looked, and whether it concerns a build. Knows no system."""

from collections.abc import Collection, Iterable, Set

OUTPUTS = "bldr-out"
"""The directory of outputs: a build writes there, so that nothing in it is a reason to build."""


class Changes:
    """Paths below a root ("" for the root itself); `modified` are other than before, `listed` came or went.

    After `lost` anything may have changed. After `gone` the root is not where it was.
    """

    __slots__ = ("gone", "listed", "lost", "modified")

    def __init__(self) -> None:
        self.modified: set[str] = set()
        self.listed: set[str] = set()
        self.lost = False
        self.gone = False

    def __bool__(self) -> bool:
        return bool(self.modified or self.listed or self.lost or self.gone)

    def add(self, other: "Changes") -> None:
        """Take in what changed later."""
        self.modified |= other.modified
        self.listed |= other.listed
        self.lost |= other.lost
        self.gone |= other.gone


class Dependencies:
    """What the last build looked at: directories that it listed and files that it read, as paths below the root.

    None where that is not known, because the build did not come so far: then everything counts.
    """

    __slots__ = ("directories", "files")

    def __init__(self, directories: Iterable[str] | None = None, files: Iterable[str] | None = None) -> None:
        self.directories: Set[str] | None = None if directories is None else frozenset(directories)
        self.files: Set[str] | None = None if files is None else frozenset(files)


def reasons(changes: Changes, dependencies: Dependencies, fresh: Collection[str] = ()) -> list[str]:
    """The paths among `changes` for which a build is due, sorted; `fresh` are directories that came since the last one.

    A name that came or went counts in every directory that was listed, because a pattern may match it. A name that
    is another than before counts where it was read.
    """
    directories, files = dependencies.directories, dependencies.files
    found = set()
    for path in changes.listed:
        above = path.rpartition("/")[0]
        if is_output(path):
            continue
        if directories is None or above in directories or above in fresh or (files is not None and path in files):
            found.add(path)
    for path in changes.modified:
        if not is_output(path) and (files is None or path in files or path in (directories or ())):
            found.add(path)
    return sorted(found)


def is_output(path: str) -> bool:
    """Whether a path is the directory of outputs, or in it."""
    return path == OUTPUTS or path.startswith(f"{OUTPUTS}/")
