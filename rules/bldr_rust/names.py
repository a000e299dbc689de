"""Packages of a lock file, and how dependencies are matched with them."""

import re
from typing import NamedTuple

_NUMBERS = re.compile(r"\s*(?:\^|~|=|>=|>|<=|<)?\s*(\d+)(?:\.(\d+))?(?:\.(\d+))?")


class Package(NamedTuple):
    """An entry of a lock file. What is not fetched is the project itself. `dependencies` are as they are written there:
    "name", "name version" or "name version (source)"."""

    name: str
    version: str
    is_fetched: bool
    checksum: str
    dependencies: tuple[str, ...]

    @property
    def stem(self) -> str:
        return f"{self.name}-{self.version}"


def find_package(written: str, packages: tuple[Package, ...]) -> Package | None:
    """The entry that a line of `dependencies` means."""
    name, _, rest = written.partition(" ")
    version = rest.partition(" ")[0]
    for package in packages:
        if package.name == name and version in ("", package.version):
            return package
    return None


def satisfies(version: str, requirement: str) -> bool:
    """Whether a version is of the series that a requirement's first part asks for: what tells two versions of one
    crate apart that a lock file holds, because cargo never locks two of the same series."""
    match = _NUMBERS.match(requirement)
    if match is None:
        return True
    wanted = [part for part in match.groups() if part is not None]
    numbers = version.partition("+")[0].partition("-")[0].split(".")
    if wanted[0] != "0" or len(wanted) == 1:
        return numbers[0] == wanted[0]
    if wanted[1] != "0" or len(wanted) == 2:
        return numbers[:2] == wanted[:2]
    return numbers[:3] == wanted
