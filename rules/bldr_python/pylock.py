"""What a `pylock.toml` holds, by `packaging`, which takes longer to import than all handlers together."""

import posixpath
from collections.abc import Mapping
from typing import Any

import tomli
from packaging.pylock import Package, PackageWheel, Pylock, PylockSelectError, PylockValidationError

from bldr.api import Locked, LockedTree, LockError, LockFile
from bldr_python.distributions import describe
from bldr_python.environment import chosen, fitting_tags, marker_environment

_ALGORITHMS = ("sha256", "sha384", "sha512")
_NO_WHEEL = "bldr installs wheels only: build one (pip wheel) and lock that, or make the sdist an external source"


def read(lock: LockFile) -> tuple[Locked, ...]:
    """The wheels that are selected. Raises LockError."""
    choice = chosen(lock)
    try:
        pylock = Pylock.from_dict(tomli.loads(lock.text))
        selected = pylock.select(
            environment=marker_environment(lock, choice),
            tags=fitting_tags(lock, choice),
            extras=choice.extras,
            dependency_groups=choice.groups,
        )
        return tuple(_locked(package, file, lock) for package, file in selected)
    except tomli.TOMLDecodeError as error:
        raise LockError(f"it is no TOML: {error}", "lock anew") from error
    except (PylockValidationError, PylockSelectError, ValueError) as error:
        message = str(error)
        hint = _NO_WHEEL if "sdist" in message else "lock anew, for the Python of the option"
        raise LockError(message[:1].lower() + message[1:], hint) from error


def builderfile(packages: tuple[Locked, ...], tree: LockedTree, lock: LockFile) -> Mapping[str, Any]:
    """The tables of their targets."""
    environment = marker_environment(lock, chosen(lock))
    names = tuple(package.path for package in packages)
    return {"target": describe(names, tree, environment)}


def _locked(package: Package, file: object, lock: LockFile) -> Locked:
    name = f"{package.name} {package.version}" if package.version else str(package.name)
    if not isinstance(file, PackageWheel):
        raise LockError(f"{name} has no wheel that fits", _NO_WHEEL)
    algorithm = next((name for name in _ALGORITHMS if name in file.hashes), None)
    if algorithm is None:
        raise LockError(f"{name} has no hash that is known", f"known are {', '.join(_ALGORITHMS)}")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(lock.path), file.path)) if file.path else ""
    return Locked(
        name=name,
        urls=(f"file:{path}",) if path else (file.url,) if file.url else (),
        digest=f"{algorithm}:{file.hashes[algorithm].lower()}",
        path=str(package.name),
        # An index knows its files by their SHA-256.
        pypi=f"{package.name}=={package.version}" if not path and package.version and algorithm == "sha256" else "",
    )
