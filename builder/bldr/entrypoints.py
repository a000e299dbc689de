"""Entry points of what is installed, as `importlib.metadata` finds them.

That one is asked only where distributions are described in another way than by directories on `sys.path`: to import it
takes a third as long as to import all of bldr, because of some sixty modules that come with it.
"""

import os
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.machinery import PathFinder
from typing import Any, NamedTuple

_DESCRIBED_IN = {".dist-info": "METADATA", ".egg-info": "PKG-INFO"}


class EntryPoint(NamedTuple):
    """A name and an object (`package.module:attribute`), and who says so: "" where a distribution does not tell."""

    name: str
    value: str
    distribution: str = ""
    version: str = ""

    def load(self) -> Any:
        """The object. Raises ImportError, AttributeError, and whatever its module raises."""
        module, _, attributes = self.value.partition("[")[0].partition(":")
        found = import_module(module.strip())
        for name in filter(None, attributes.strip().split(".")):
            found = getattr(found, name)
        return found


def entry_points(group: str) -> list[EntryPoint]:
    """All of a group. Of distributions of one name only the first on `sys.path` counts."""
    if not _is_usual():
        return _by_the_library(group)
    found: list[EntryPoint] = []
    seen: set[str] = set()
    for directory in sys.path:
        for name in _names(directory or "."):
            stem, kind = os.path.splitext(name)
            if kind.lower() not in _DESCRIBED_IN:
                continue
            distribution = re.sub(r"[-_.]+", "_", stem.partition("-")[0]).lower()
            if distribution not in seen:
                seen.add(distribution)
                found += _of_distribution(os.path.join(directory, name), kind.lower(), group)
    return found


def _is_usual() -> bool:
    """Whether all distributions are described by directories on `sys.path`."""
    finders = [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")]
    return finders == [PathFinder] and not any(
        not isinstance(path, str) or path.rstrip("/").lower().endswith(".egg") or os.path.isfile(path)
        for path in sys.path
    )


def _by_the_library(group: str) -> list[EntryPoint]:
    from importlib import metadata

    found = []
    for point in metadata.entry_points(group=group):
        name = version = ""
        if point.dist is not None:
            name, version = point.dist.metadata["Name"] or "", point.dist.metadata["Version"] or ""
        found.append(EntryPoint(point.name, point.value, name, version))
    return found


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _of_distribution(directory: str, kind: str, group: str) -> Iterator[EntryPoint]:
    text = _text(os.path.join(directory, "entry_points.txt"))
    if f"[{group}]" not in text:  # as with nearly all
        return
    head: dict[str, str] = {}
    for line in _text(os.path.join(directory, _DESCRIBED_IN[kind])).splitlines():
        if not line:  # the end of the headers
            break
        field, _, content = line.partition(":")
        head.setdefault(field.lower(), content.strip())
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line.strip("[]")
        elif section == group and "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            yield EntryPoint(name.strip(), value.strip(), head.get("name", ""), head.get("version", ""))


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError):
        return ""
