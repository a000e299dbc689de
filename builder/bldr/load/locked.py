"""The tree of a lock file's packages: directories and files of the cache, each at its place, as one tree."""

import stat
from collections.abc import Mapping

from bldr.load.directories import Directory, Kind
from bldr.system import os

_NOWHERE = os.devnull + "/nowhere"
"""Where a path lies that only exists because packages lie below it: below a file there is nothing."""


class LockedPackages:
    """What the packages of one lock file come to. `mounts` says what stands at a path: a directory, or a file itself.

    `tables` are the Builderfile that `author`, a plugin, wrote for it; None where the workspace has one.
    """

    def __init__(
        self, name: str, mounts: Mapping[str, str], tables: dict[str, object] | None, lock: str, author: str
    ) -> None:
        self.name = name
        self.mounts = mounts
        self.tables = tables
        self.lock = lock
        self.author = author

    def host_path(self, path: str) -> str:
        """Where a path of the tree lies on this machine; the innermost package that is above it has it."""
        end = len(path)
        while end > 0:
            host = self.mounts.get(path[:end])
            if host is not None:
                return host + path[end:]
            end = path.rfind("/", 0, end)
        return f"{_NOWHERE}/{path}"

    def directory(self) -> Directory:
        """The tree as loading sees it. Raises ValueError for packages that stand in each other's way, OSError."""
        top_path = f"external/{self.name}"
        top = Directory.of({}, top_path)
        for path in sorted(self.mounts, key=lambda path: path.count("/")):
            *above, name = path.split("/")
            at = top
            for part in above:
                entry = at.entries.get(part)
                if entry is None:
                    entry = at.entries[part] = Directory.of({}, f"{at.path}/{part}", at)
                if not isinstance(entry, Directory):
                    raise ValueError(f'"{path}" cannot stand below "{at.path[len(top_path) :].lstrip("/")}/{part}", '
                                     "which is no directory")  # fmt: skip
                at = entry
            host = self.mounts[path]
            is_directory = stat.S_ISDIR(os.stat(host).st_mode)
            at.entries[name] = Directory(host, f"{at.path}/{name}", at) if is_directory else Kind.FILE
        return top


class Tree:
    """The `LockedTree` of a plugin: what packages hold, and nothing else of this machine."""

    def __init__(self, packages: LockedPackages) -> None:
        self._packages = packages
        self._top = packages.directory()

    def read(self, path: str) -> bytes:
        if any(part in ("", ".", "..") for part in path.split("/")):
            raise FileNotFoundError(path)
        try:
            descriptor = os.open(self._packages.host_path(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:
                return file.read()
        except (NotADirectoryError, IsADirectoryError) as error:
            raise FileNotFoundError(path) from error

    def names(self, directory: str = "") -> tuple[str, ...]:
        at: Directory | Kind | None = self._top
        for part in directory.split("/") if directory else ():
            at = at.entries.get(part) if isinstance(at, Directory) else None
        if not isinstance(at, Directory):
            raise FileNotFoundError(directory)
        return tuple(sorted(f"{name}/" if isinstance(kind, Directory) else name for name, kind in at.entries.items()))
