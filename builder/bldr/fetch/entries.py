"""An entry of the store, `tree` and `manifest`, made whole under a lock and never seen half."""

import os
from typing import BinaryIO

from bldr.fetch import manifest
from bldr.fetch.archives import Archives
from bldr.fetch.locations import Locations
from bldr.fetch.source import External, Fetching, Means
from bldr.fetch.tree import remove_tree
from bldr.fetch.unpack import unpack


def make_entry(source: External, entry: str, locations: Locations, means: Means) -> None:
    """Make or mend the directory `entry`, whoever else may be at it, and remove what dead processes left behind."""
    locations.prepare()
    locations.sweep()
    with locations.locked(source.sha256, lambda: means.tell(Fetching(name=source.name, step="waiting"))):
        if not _mended(source, entry, locations, means):
            with Archives(locations, means).open(source) as archive:
                _unpack(source, archive, entry, locations, means)


def _mended(source: External, entry: str, locations: Locations, means: Means) -> bool:
    """Whether the entry can be used after all; one that cannot is taken away."""
    if not os.path.lexists(entry):
        return False
    if manifest.is_whole(entry):
        return True  # somebody else made it while we waited
    found = manifest.damage(entry)
    if not found:  # copied, or touched without a change
        manifest.refresh(entry)
        return True
    means.warn(
        f'external "{source.name}" was damaged and is unpacked again: {found[0]}', "do not write to bldr's store"
    )
    damaged = locations.partial_entry(source.sha256, "damaged")
    os.rename(entry, damaged)
    remove_tree(damaged)
    return False


def _unpack(source: External, archive: BinaryIO, entry: str, locations: Locations, means: Means) -> None:
    """Make the entry under a temporary name and rename it."""
    means.tell(Fetching(name=source.name, step="unpacking"))
    partial = locations.partial_entry(source.sha256, "tree")
    os.mkdir(partial, 0o700)
    try:
        paths = unpack(archive, os.path.join(partial, "tree"), source.strip_prefix, means.limits)
        manifest.write(partial, paths)
        os.chmod(partial, 0o755)  # noqa: S103 - to be read by all, below a cache directory that is the owner's alone
        os.rename(partial, entry)
    except BaseException:
        remove_tree(partial)
        raise
