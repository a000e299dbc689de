"""For which Python a lock file is read: what markers and the tags of wheels are compared with. Pure."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from packaging import tags
from packaging.markers import Environment

from bldr.api import LockError, LockFile

_OPTIONS = ("python", "glibc", "extras", "groups")
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_DEFAULT_GLIBC = (2, 28)
"""That of the systems which PEP 600's tags were last renewed for: wheels for newer ones need to be asked for."""

_SYSTEMS = {
    "linux": ("posix", "Linux", "linux"),
    "macos": ("posix", "Darwin", "darwin"),
    "windows": ("nt", "Windows", "win32"),
}
_MACHINES = {("macos", "aarch64"): "arm64", ("windows", "x86_64"): "AMD64", ("windows", "aarch64"): "ARM64"}
_OLDEST_MACOS = (11, 0)


class Chosen(NamedTuple):
    """What the options say. `extras` and `groups` (None: those that the file has as default) are names of the file."""

    python: tuple[int, int, int]
    glibc: tuple[int, int]
    extras: tuple[str, ...]
    groups: tuple[str, ...] | None


def chosen(lock: LockFile) -> Chosen:
    """Read `external.NAME.options`. Raises LockError."""
    for name in lock.options:
        if name not in _OPTIONS:
            raise LockError(f'unknown option "{name}"', f"the options are: {', '.join(_OPTIONS)}")
    if "python" not in lock.options:
        hint = 'write options = { python = "3.12" }'
        raise LockError("it is not said for which Python wheels are chosen", hint)
    groups = lock.options.get("groups")
    return Chosen(
        _version("python", lock.options["python"]),
        _version("glibc", lock.options["glibc"])[:2] if "glibc" in lock.options else _DEFAULT_GLIBC,
        tuple(lock.options.get("extras", "").split()),
        None if groups is None else tuple(groups.split()),
    )


def _version(name: str, text: str) -> tuple[int, int, int]:
    match = _VERSION.fullmatch(text)
    if not match:
        raise LockError(f'the option {name} is "{text}", which is no version', f'write {name} = "3.12"')
    return int(match[1]), int(match[2]), int(match[3] or 0)


def marker_environment(lock: LockFile, choice: Chosen) -> Environment:
    """The values of environment markers (PEP 508)."""
    os_name, system, platform = _SYSTEMS.get(lock.platform.os, ("posix", lock.platform.os, lock.platform.os))
    major, minor, _ = choice.python
    full = ".".join(str(part) for part in choice.python)
    return Environment(
        implementation_name="cpython",
        implementation_version=full,
        os_name=os_name,
        platform_machine=_MACHINES.get((lock.platform.os, lock.platform.arch), lock.platform.arch),
        platform_release="",
        platform_system=system,
        platform_version="",
        python_full_version=full,
        platform_python_implementation="CPython",
        python_version=f"{major}.{minor}",
        sys_platform=platform,
    )


def fitting_tags(lock: LockFile, choice: Chosen) -> list[tags.Tag]:
    """The tags of wheels that can be used, the best first."""
    version = choice.python[:2]
    platforms = list(_platforms(lock, choice))
    found = [*tags.cpython_tags(version, platforms=platforms)]
    return [*found, *tags.compatible_tags(version, f"cp{version[0]}{version[1]}", platforms)]


def _platforms(lock: LockFile, choice: Chosen) -> Iterator[str]:
    machine = _MACHINES.get((lock.platform.os, lock.platform.arch), lock.platform.arch)
    if lock.platform.os == "windows":
        yield f"win_{machine.lower()}"
    elif lock.platform.os == "macos":
        yield from tags.mac_platforms(_OLDEST_MACOS, machine)
    else:
        old = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
        for minor in range(choice.glibc[1], 4, -1):
            yield f"manylinux_2_{minor}_{machine}"
            if (2, minor) in old:
                yield f"{old[2, minor]}_{machine}"
        yield f"linux_{machine}"
