"""Entries of the store, `tree` and `manifest`, made whole under a lock and never seen half."""

import os
from collections.abc import Sequence
from functools import partial as bind
from typing import BinaryIO

import msgspec

from bldr.api import FetchError
from bldr.fetch import manifest
from bldr.fetch.archives import Archives
from bldr.fetch.locations import Locations
from bldr.fetch.parallel import Job, Telling, run_all
from bldr.fetch.pins import GO
from bldr.fetch.source import CONTENT, Fetching, Means, Wanted
from bldr.fetch.tree import TreeWriter, remove_tree
from bldr.fetch.unpack import unpack

_AT_ONCE = 8
"""Downloads that run at once: most of their time is waiting, and servers must not mind."""


def make_entries(entries: Sequence[tuple[Wanted, str]], locations: Locations, means: Means) -> None:
    """Make or mend directories, whoever else may be at them, and remove what dead processes left behind."""
    locations.prepare()
    locations.sweep()
    if len(entries) == 1:
        archives = Archives(locations, means)
        for wanted, entry in entries:
            _make(wanted, entry, locations, means, archives)
        return

    def jobs(telling: Telling) -> list[Job]:
        told = msgspec.structs.replace(means, tell=telling.wrapped(means.tell), warn=telling.wrapped(means.warn))
        archives = Archives(locations, told)
        return [bind(_make, wanted, entry, locations, told, archives) for wanted, entry in entries]

    run_all(jobs, _AT_ONCE)


def _make(wanted: Wanted, entry: str, locations: Locations, means: Means, archives: Archives) -> None:
    try:
        with locations.locked(wanted.pin.key, lambda: means.tell(Fetching(name=wanted.name, step="waiting"))):
            if not _mended(wanted, entry, locations, means):
                with archives.open(wanted) as archive:
                    _unpack(wanted, archive, entry, locations, means)
    except FetchError as error:
        raise FetchError(f"{wanted.who}: {error.message}", error.hint) from error


def _mended(wanted: Wanted, entry: str, locations: Locations, means: Means) -> bool:
    """Whether the entry can be used after all; one that cannot is taken away."""
    if not os.path.lexists(entry):
        return False
    if manifest.is_whole(entry):
        return True  # somebody else made it while we waited
    found = manifest.damage(entry)
    if not found:  # copied, or touched without a change
        manifest.refresh(entry)
        return True
    means.warn(f"{wanted.who} was damaged and is unpacked again: {found[0]}", "do not write to bldr's store")
    damaged = locations.partial_entry(wanted.pin.key, "damaged")
    os.rename(entry, damaged)
    remove_tree(damaged)
    return False


def _unpack(wanted: Wanted, archive: BinaryIO, entry: str, locations: Locations, means: Means) -> None:
    """Make the entry under a temporary name and rename it."""
    means.tell(Fetching(name=wanted.name, step="unpacking"))
    partial = locations.partial_entry(wanted.pin.key, "tree")
    os.mkdir(partial, 0o700)
    try:
        tree = os.path.join(partial, "tree")
        if wanted.unpack:
            # Go's digest is over names and contents: what it does not pin is left out, as Go does
            programs = wanted.pin.algorithm != GO
            paths = unpack(archive, tree, wanted.strip_prefix, means.limits, programs=programs)
        else:
            _refuse_zip(wanted, archive)
            paths = _adopt(locations.download(wanted.pin.key), tree)
        manifest.write(partial, paths)
        os.chmod(partial, 0o755)  # noqa: S103 - to be read by all, below a cache directory that is the owner's alone
        os.rename(partial, entry)
    except BaseException:
        remove_tree(partial)
        raise


def _refuse_zip(wanted: Wanted, file: BinaryIO) -> None:
    """Go's digest of a zip is over the files in it: there are many archives that have it. Raises FetchError."""
    if wanted.pin.algorithm != GO:
        return
    file.seek(0)
    if file.read(2) == b"PK":
        raise FetchError(
            f'{wanted.who}: "{GO}:" pins the files in a zip archive and not the archive, which is to be kept as it is',
            "unpack it, or pin it by a sha256",
        )


def _adopt(download: str, tree: str) -> tuple[manifest.Entry, ...]:
    """A tree that holds a download as it is: under another name, not as a copy."""
    writer = TreeWriter(tree)
    try:
        writer.adopt((CONTENT,), download)
        return writer.finish()
    finally:
        writer.close()
