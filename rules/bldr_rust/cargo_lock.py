"""The lock format "cargo": the packages of a Cargo.lock, each an archive of crates.io with its checksum."""

from collections.abc import Mapping
from typing import Any

import tomli

from bldr.api import Locked, LockedTree, LockError, LockFile
from bldr_rust.cargo_targets import targets
from bldr_rust.locks import MIRROR
from bldr_rust.names import Package

_ARCHIVES = "https://static.crates.io/crates"
_CRATES_IO = (
    "registry+https://github.com/rust-lang/crates.io-index",
    "registry+sparse+https://index.crates.io/",
    "sparse+https://index.crates.io/",
)


def read(lock: LockFile) -> tuple[Locked, ...]:
    archives = lock.env.get(MIRROR, "").rstrip("/") or _ARCHIVES
    return tuple(
        Locked(
            name=f"{package.name} {package.version}",
            urls=(f"{archives}/{package.name}/{package.name}-{package.version}.crate",),
            digest=f"sha256:{package.checksum}",
            path=package.stem,
            strip_prefix=package.stem,
        )
        for package in read_lock(lock.text)
        if package.is_fetched
    )


def builderfile(packages: tuple[Locked, ...], tree: LockedTree, lock: LockFile) -> Mapping[str, Any]:
    here = {package.path for package in packages}
    entries = tuple(entry for entry in read_lock(lock.text) if not entry.is_fetched or entry.stem in here)
    return {"target": targets(entries, tree, lock)}


def read_lock(text: str) -> tuple[Package, ...]:
    """The packages of a lock file of any version. Raises LockError."""
    try:
        table = tomli.loads(text)
        entries = table.get("package", [])
        checksums = table.get("metadata", {})  # where versions 1 and 2 keep them
        packages = tuple(_package(entry, checksums) for entry in entries)
    except (tomli.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise LockError(f"this is no lock file of cargo: {error}", "cargo generate-lockfile writes one") from error
    if table.get("version", 1) > 4:
        raise LockError(f"the lock file is of version {table['version']}, and 4 is the latest that is known")
    return packages


def _package(entry: Mapping[str, Any], checksums: Mapping[str, str]) -> Package:
    name, version, source = entry["name"], entry["version"], entry.get("source", "")
    checksum = entry.get("checksum") or checksums.get(f"checksum {name} {version} ({source})", "")
    if source.startswith("git+"):
        raise LockError(
            f'the crate "{name}" {version} comes from a git repository, which has no checksum',
            "declare it as an external source, or depend on a release",
        )
    if source and source not in _CRATES_IO:
        raise LockError(f'the crate "{name}" {version} comes from "{source}", and only crates.io is known')
    if source and len(checksum) != 64:
        raise LockError(
            f'the crate "{name}" {version} has no checksum in the lock file', "cargo generate-lockfile writes it"
        )
    return Package(name, version, bool(source), checksum, tuple(entry.get("dependencies", ())))
