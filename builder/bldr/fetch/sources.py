"""Pinned outside sources become directories: the one place that brings bytes from outside."""

import os
from collections.abc import Mapping, Sequence

from bldr.api import CacheError, FetchError, Locked
from bldr.fetch import manifest
from bldr.fetch.locations import Locations
from bldr.fetch.pins import GO, Pin, parse_pin
from bldr.fetch.source import CONTENT, External, Limits, Means, Progress, Wanted, Warn


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
    wanted = _wanted(source)
    means = _means(builderfile_root, offline, progress, warn, limits, environ)
    (entry,) = _bring([wanted], store_root, means, wanted.who)
    return os.path.join(entry, "tree")


def fetch_packages(
    name: str,
    packages: Sequence[Locked],
    store_root: str,
    *,
    builderfile_root: str,
    offline: bool = False,
    progress: Progress | None = None,
    warn: Warn | None = None,
    limits: Limits | None = None,
    environ: Mapping[str, str] | None = None,
) -> list[str]:
    """Where each of the packages of the external source `name` is: a directory, or a file that is not unpacked.

    Each is kept by its digest, whatever lock file names it. All else is as with `fetch`; several are brought at once.
    """
    wanted = [_wanted_package(name, package) for package in packages]
    means = _means(builderfile_root, offline, progress, warn, limits, environ)
    entries = _bring(wanted, store_root, means, f'external "{name}"')
    return [
        os.path.join(entry, "tree") if one.unpack else os.path.join(entry, "tree", CONTENT)
        for one, entry in zip(wanted, entries, strict=True)
    ]


def verify(source: External, store_root: str) -> list[str]:
    """What in the unpacked tree is not as it was unpacked, one sentence each; [] also where nothing was unpacked yet.

    Reads every file. `fetch` mends what this finds.
    """
    return _damage(_wanted(source), Locations(store_root))


def verify_packages(name: str, packages: Sequence[Locked], store_root: str) -> list[str]:
    """As `verify`, of the packages of a lock file."""
    locations = Locations(store_root)
    wanted = [_wanted_package(name, package) for package in packages]
    return [f"{one.who}: {text}" for one in wanted for text in _damage(one, locations)]


def _bring(wanted: Sequence[Wanted], store_root: str, means: Means, who: str) -> list[str]:
    """The entries of all of these, in their order."""
    locations = Locations(store_root)
    entries = [_entry(one, locations) for one in wanted]
    try:
        missing = [(one, entry) for one, entry in _once(wanted, entries) if not manifest.is_whole(entry)]
        if missing:
            from bldr.fetch.entries import make_entries  # sockets, TLS: 100 ms that other builds need not pay

            make_entries(missing, locations, means)
    except OSError as error:
        raise CacheError(
            f'{who} cannot be stored in "{error.filename or store_root}": {error.strerror}',
            "make room, or name another directory with --cache-dir",
        ) from error
    return entries


def _once(wanted: Sequence[Wanted], entries: Sequence[str]) -> list[tuple[Wanted, str]]:
    """Each entry with the first that wants it."""
    first: dict[str, Wanted] = {}
    for one, entry in zip(wanted, entries, strict=True):
        first.setdefault(entry, one)
    return [(one, entry) for entry, one in first.items()]


def _wanted(source: External) -> Wanted:
    who = f'external "{source.name}"'
    try:
        pin = parse_pin(f"sha256:{source.sha256}")
    except ValueError:
        pin = Pin("", "")
    if pin.hex != source.sha256 or not pin.hex:
        raise FetchError(f'{who}: "{source.sha256}" is not a sha256', "write 64 hexadecimal digits")
    return Wanted(
        who=who,
        name=source.name,
        pin=pin,
        urls=(source.url,) if source.url else (),
        pypi=source.pypi or "",
        strip_prefix=source.strip_prefix,
    )


def _wanted_package(name: str, package: Locked) -> Wanted:
    who = f'external "{name}": {package.name}'
    try:
        pin = parse_pin(package.digest)
    except ValueError as error:
        raise FetchError(f"{who}: {error}") from error
    if not package.urls and not package.pypi:
        raise FetchError(f"{who}: no address of it is known")
    return Wanted(
        who=who,
        name=package.name,
        pin=pin,
        urls=package.urls,
        pypi=package.pypi,
        strip_prefix=package.strip_prefix,
        unpack=package.unpack,
    )


def _entry(wanted: Wanted, locations: Locations) -> str:
    return locations.entry(
        wanted.pin.key, wanted.strip_prefix, unpack=wanted.unpack, programs=wanted.pin.algorithm != GO
    )


def _damage(wanted: Wanted, locations: Locations) -> list[str]:
    entry = _entry(wanted, locations)
    return manifest.damage(entry) if os.path.lexists(entry) else []


def _means(
    builderfile_root: str,
    offline: bool,
    progress: Progress | None,
    warn: Warn | None,
    limits: Limits | None,
    environ: Mapping[str, str] | None,
) -> Means:
    return Means(
        builderfile_root=builderfile_root,
        offline=offline,
        tell=progress or _silent,
        warn=warn or _silent,
        limits=limits or Limits(),
        environ=os.environ if environ is None else environ,
    )


def _silent(*_: object) -> None:
    """Nobody wants to hear."""
