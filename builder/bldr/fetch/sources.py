"""A pinned outside source becomes a directory: the one place that brings bytes from outside."""

import os
import re
from collections.abc import Mapping

from bldr.api import CacheError, FetchError
from bldr.fetch import manifest
from bldr.fetch.locations import Locations
from bldr.fetch.source import External, Limits, Means, Progress, Warn

_SHA256 = re.compile(r"[0-9a-f]{64}")


def fetch(
    source: External,
    store_root: str,
    *,
    builderfile_root: str,
    offline: bool = False,
    progress: Progress | None = None,
    warn: Warn | None = None,
    limits: Limits | None = None,
    environ: Mapping[str, str] | None = None,
) -> str:
    """The directory with the unpacked, checked, read-only tree of `source`; brought from outside where it is missing.

    A relative file: URL is relative to `builderfile_root`. With `offline` only what is on this machine is used. `warn`
    hears of everything that went wrong and could be worked around. Safe to call from several processes at once; one
    that is killed leaves nothing that is believed. Raises FetchError where the source cannot be had or is not what is
    pinned, CacheError where the store cannot be written.
    """
    if not _SHA256.fullmatch(source.sha256):
        raise FetchError(f'external "{source.name}": "{source.sha256}" is not a sha256', "write 64 hexadecimal digits")
    locations = Locations(store_root)
    entry = locations.entry(source.sha256, source.strip_prefix)
    try:
        if not manifest.is_whole(entry):
            from bldr.fetch.entries import (
                make_entry,
            )  # sockets, TLS and archives: 100 ms that other builds need not pay

            means = Means(
                builderfile_root=builderfile_root,
                offline=offline,
                tell=progress or _silent,
                warn=warn or _silent,
                limits=limits or Limits(),
                environ=os.environ if environ is None else environ,
            )
            make_entry(source, entry, locations, means)
    except FetchError as error:
        raise FetchError(f'external "{source.name}": {error.message}', error.hint) from error
    except OSError as error:
        raise CacheError(
            f'external "{source.name}" cannot be stored in "{error.filename or store_root}": {error.strerror}',
            "make room, or name another directory with --cache-dir",
        ) from error
    return os.path.join(entry, "tree")


def verify(source: External, store_root: str) -> list[str]:
    """What in the unpacked tree is not as it was unpacked, one sentence each; [] also where nothing was unpacked yet.

    Reads every file. `fetch` mends what this finds.
    """
    entry = Locations(store_root).entry(source.sha256, source.strip_prefix)
    return manifest.damage(entry) if os.path.lexists(entry) else []


def _silent(*_: object) -> None:
    """Nobody wants to hear."""
