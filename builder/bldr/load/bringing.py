"""Brings the outside sources of a workspace, when loading or a person asks for them."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from bldr.api.actions import Platform
from bldr.api.locks import Locked
from bldr.load.externals import ExternalSource
from bldr.load.locked import LockedPackages
from bldr.load.locks import LockEntry, LockReader
from bldr.store.store import Store
from bldr.store.trees import touch

if TYPE_CHECKING:
    from bldr.fetch import Progress

Warn = Callable[[str, str], None]


class Bringing:
    """Archives by their hash, packages by their lock file: all of it through `bldr.fetch`, into one store."""

    def __init__(
        self,
        root: str,
        store: Store,
        locks: Mapping[str, LockEntry],
        platform: Platform,
        env: Mapping[str, str],
        *,
        offline: bool,
        warn: Warn,
    ) -> None:
        self._root = root
        self._store = store
        self._reader = LockReader(root, locks, platform, env, store.memo)
        self._offline = offline
        self._warn = warn
        self.progress: Progress | None = None
        """Who wants to hear how far it is."""

    def __call__(self, source: ExternalSource) -> str | LockedPackages:
        """Where an outside source is: the directory it is unpacked in, or the packages of its lock file.

        Raises FetchError, CacheError, and for a lock file WorkspaceError and PluginError.
        """
        if source.lock:
            return self._reader.load(source, self._bring)
        from bldr.fetch import fetch  # HTTP and archives: only where a source is used

        tree = fetch(
            source,
            self._store.root,
            builderfile_root=self._root,
            offline=self._offline,
            warn=self._warn,
            progress=self.progress,
        )
        touch(os.path.dirname(tree))
        return tree

    def damage(self, source: ExternalSource) -> list[str]:
        """What of a source that was unpacked is no longer as it was, one sentence each; reads every file."""
        from bldr.fetch import verify, verify_packages

        if source.lock:
            return verify_packages(source.name, self._reader.packages(source), self._store.root)
        return [f'external "{source.name}": {text}' for text in verify(source, self._store.root)]

    def _bring(self, name: str, packages: Sequence[Locked]) -> list[str]:
        from bldr.fetch import fetch_packages

        places = fetch_packages(
            name,
            packages,
            self._store.root,
            builderfile_root=self._root,
            offline=self._offline,
            warn=self._warn,
            progress=self.progress,
        )
        for package, place in zip(packages, places, strict=True):
            touch(os.path.dirname(place if package.unpack else os.path.dirname(place)))
        return places
