"""Entries: what stands at one path of an action's tree, by content."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from bldr.api.actions import Artifact


class Entry(msgspec.Struct, frozen=True, order=True, array_like=True, gc=False):
    """A file (`hash`, `size_bytes`, `executable`), a symbolic link (`link`) or an empty directory (neither).

    `path` is relative to the tree's root. `hash` is the SHA-256 in hex.
    """

    path: str
    hash: str = ""
    size_bytes: int = 0
    executable: bool = False
    link: str = ""


def expand(artifacts: Iterable[Artifact], known: Mapping[str, Sequence[Entry]]) -> list[Entry]:
    """The entries of `artifacts` in the order of their paths; a directory artifact stands for all that it holds."""
    found: dict[str, Entry] = {}
    for artifact in artifacts:
        for entry in known[artifact.path]:
            found[entry.path] = entry
    return [found[path] for path in sorted(found)]
