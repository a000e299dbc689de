"""Watches all directories of a tree that a build may look at, as they come and go."""

import os
from collections.abc import Collection, Iterable

from bldr.graph.actions import LOCK_NAME
from bldr.load.names import CACHE_TAG, NEVER_ENTERED
from bldr.watch import inotify
from bldr.watch.changes import OUTPUTS, Changes, is_output
from bldr.watch.inotify import Event, Inotify

_LOCK = f"{OUTPUTS}/{LOCK_NAME}"


class Tree:
    """Owns the watches of the workspace at `root`, whose path goes through no link.

    A directory is watched first and listed then, so that nothing that comes into it is missed; what a new directory
    holds already counts as come. Hidden directories are watched when a build has looked into them: `follow`.
    """

    exact = True
    """That nothing changed is known, and not only likely."""

    def __init__(self, root: str, ignored: Collection[str] = ()) -> None:
        self.root = root
        self.fresh: set[str] = set()
        """Directories that are watched since somebody last emptied this."""
        self._ignored = frozenset(ignored)
        self._inotify = Inotify()
        self._paths: dict[int, str] = {}
        self._watches: dict[str, int] = {}
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """A descriptor that can be read when something happened; another one after events were lost."""
        return self._inotify.descriptor

    @property
    def directories(self) -> Collection[str]:
        """The paths of all directories that are watched."""
        return self._watches.keys()

    def read(self) -> Changes:
        """What happened until now. Raises WatchLimitError, FileNotFoundError where the root cannot be watched again."""
        changes = Changes()
        for event in self._inotify.read():
            self._take(event, changes)
        if changes.lost and not changes.gone:
            self._restart(changes)
        return changes

    def follow(self, directories: Iterable[str], ignored: Collection[str]) -> list[str]:
        """Watch these directories too, unless they are already, and leave others out; returns those that are new.

        Whatever happened in the new ones before is unknown.
        """
        self._ignored = frozenset(ignored)
        for path in [path for path in self._watches if path in self._ignored]:
            self._forget_below(path)
        added = []
        for path in directories:
            if path not in self._watches and self._add(path):
                added.append(path)
        return added

    def close(self) -> None:
        """End all watches."""
        self._inotify.close()

    def _start(self) -> None:
        self._paths.clear()
        self._watches.clear()
        self._put("", self._inotify.add(self.root))
        self._enter("", Changes())

    def _restart(self, changes: Changes) -> None:
        """Begin anew after events were lost: nobody knows which directories came and went."""
        self._inotify.close()
        self._inotify = Inotify()
        try:
            self._start()
        except FileNotFoundError:
            changes.gone = True

    def _take(self, event: Event, changes: Changes) -> None:
        mask = event.mask
        if mask & (inotify.Q_OVERFLOW | inotify.UNMOUNT):
            changes.lost = True
            return
        above = self._paths.get(event.watch)
        if above is None:
            return
        if not event.name:
            self._take_own(event.watch, above, mask, changes)
            return
        path = f"{above}/{event.name}" if above else event.name
        if path == _LOCK and not mask & inotify.LISTING:
            return  # every build opens it for writing, and writes nothing
        if mask & inotify.ISDIR:
            if not self._is_entered(path, event.name):
                if path in self._ignored:
                    changes.listed.add(path)
                return
            self._take_directory(path, mask, changes)
        if mask & inotify.LISTING:
            changes.listed.add(path)
        else:
            changes.modified.add(path)

    def _take_own(self, watch: int, path: str, mask: int, changes: Changes) -> None:
        """What happened to a watched directory itself; of all but the root, the one above tells too."""
        if not path and mask & (inotify.SELF | inotify.IGNORED):
            changes.gone = True
        elif mask & inotify.IGNORED:
            del self._paths[watch]
            if self._watches.get(path) == watch:
                del self._watches[path]
        elif mask & inotify.ATTRIB:
            changes.modified.add(path)

    def _take_directory(self, path: str, mask: int, changes: Changes) -> None:
        if mask & inotify.MOVED_FROM:
            self._forget_below(path)
        elif mask & inotify.DELETE:  # was empty: nothing below it is watched
            watch = self._watches.pop(path, None)
            self._paths.pop(-1 if watch is None else watch, None)
        elif mask & (inotify.CREATE | inotify.MOVED_TO):
            if mask & inotify.MOVED_TO:
                self._forget_below(path)
            if self._is_looked_into(path) and self._add(path):
                self._enter(path, changes)
        elif path not in self._watches and self._is_looked_into(path) and self._add(path):
            self._enter(path, changes)  # can be read only now

    def _enter(self, top: str, changes: Changes) -> None:
        """Watch whatever is below a watched directory; what is there counts as come."""
        waiting = [top]
        while waiting:
            above = waiting.pop()
            names, below = self._list(above)
            prefix = f"{above}/" if above else ""
            changes.listed.update(prefix + name for name in names)
            if CACHE_TAG in names and above and not is_output(above):
                continue
            for name in below:
                path = prefix + name
                if self._is_entered(path, name) and self._is_looked_into(path) and self._add(path):
                    waiting.append(path)

    def _list(self, path: str) -> tuple[list[str], list[str]]:
        """The names of everything and of the directories in a directory; none where it went or cannot be read."""
        names, directories = [], []
        try:
            with os.scandir(os.path.join(self.root, path)) as listing:
                for entry in listing:
                    names.append(entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        directories.append(entry.name)
        except OSError:
            return [], []
        return names, directories

    def _is_entered(self, path: str, name: str) -> bool:
        return is_output(path) or (name not in NEVER_ENTERED and path not in self._ignored)

    def _is_looked_into(self, path: str) -> bool:
        return is_output(path) or not path.rpartition("/")[2].startswith(".")

    def _add(self, path: str) -> bool:
        """Watch one directory; false where it is none any more or cannot be read, which the one above will tell."""
        try:
            watch = self._inotify.add(os.path.join(self.root, path) if path else self.root)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return False
        self._put(path, watch)
        self.fresh.add(path)
        return True

    def _put(self, path: str, watch: int) -> None:
        before = self._paths.get(watch)
        if before is not None and before != path and self._watches.get(before) == watch:
            del self._watches[before]  # was renamed, and what told so is still in the queue
        self._paths[watch] = path
        self._watches[path] = watch

    def _forget_below(self, top: str) -> None:
        """Watch a directory no more that stands elsewhere by now, with all that is in it."""
        prefix = f"{top}/"
        for path in [path for path in self._watches if path == top or path.startswith(prefix)]:
            watch = self._watches.pop(path)
            self._paths.pop(watch, None)
            self._inotify.remove(watch)
