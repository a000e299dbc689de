"""The twin of a snapshot: what it rests on by contents instead of signatures, so that it holds for any checkout.

A twin's groups are those of its snapshot, in the same order: groups of the workspace are (kind, directory below the
root, names, contents), all others as they are. Contents are packed: for each file SHA-256, size and what it is.
"""

import os
from array import array
from typing import TYPE_CHECKING

from bldr.snapshot import files
from bldr.snapshot.proofs import UNFOLLOWED, hashed, numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bldr.plan.entries import Entry
    from bldr.snapshot.proofs import Group, Listed

TWIN = ".twin"
"""Ends the name of a twin's file."""

HASH_BYTES, SIZE_BYTES = 32, 8
CONTENT_BYTES = HASH_BYTES + SIZE_BYTES + 1
"""Of one file: SHA-256, size in little-endian order, kind."""

SIGNATURE_BYTES = 5 * 8
"""Of one file in a group of the snapshot."""

PLAIN, EXECUTABLE, LINK = range(3)
"""Kinds. A link has its target among the twin's links, by group and position."""


class NoTwinError(Exception):
    """The snapshot rests on something in the workspace that has no content of its own, or another one than it had."""


def write_twin(
    place: str,
    head: "Mapping[str, object]",
    groups: "Sequence[Group]",
    directories: "Iterable[Listed]",
    held: "Mapping[str, Entry]",
    root: str,
    out: str,
) -> None:
    """Write the twin of the snapshot that has this head and these groups to `place`.

    `held` is what stands in the workspace by absolute path, `out` the folder of outputs. Raises OSError, NoTwinError.
    """
    above = f"{root}/"
    links: dict[tuple[int, int], str] = {}
    found: list[tuple[int, str, tuple[str, ...], bytes]] = []
    inside: list[int] = []
    for index, (kind, directory, names, signatures) in enumerate(groups):
        if directory != root and not directory.startswith(above):
            found.append((kind, directory, names, signatures))
            continue
        contents = []
        for position, name in enumerate(names):
            path = f"{directory}/{name}"
            entry = held.get(path)
            if entry is not None and entry.link:
                links[index, position] = entry.link
                contents.append(_packed(bytes(HASH_BYTES), 0, LINK))
            elif entry is not None:
                kind_of_file = EXECUTABLE if entry.executable else PLAIN
                contents.append(_packed(bytes.fromhex(entry.hash), entry.size_bytes, kind_of_file))
            elif kind == UNFOLLOWED:
                raise NoTwinError
            else:
                contents.append(_read(path, signatures[position * SIGNATURE_BYTES : (position + 1) * SIGNATURE_BYTES]))
        found.append((kind, directory[len(above) :], names, b"".join(contents)))
        inside.append(index)
    listed = list(directories)
    more = {
        "directories": [one for one in listed if not _is_inside(one[0], root)],
        "listed": [(one[0][len(above) :], one[2], one[3]) for one in listed if _is_inside(one[0], root)],
        "inside": inside,
        "links": links,
        "folders": _folders(held, out),
    }
    files.write(place + TWIN, {**head, **more}, [files.encoded(found)])


def _is_inside(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root}/")


def _folders(held: "Mapping[str, Entry]", out: str) -> list[str]:
    """The directories below the folder of outputs that have to be made, parents first, as paths below it."""
    above = f"{out}/"
    found: set[str] = set()
    for path, entry in held.items():
        if path.startswith(above):
            directory = (
                path[len(above) :] if not entry.hash and not entry.link else path[len(above) :].rpartition("/")[0]
            )
            while directory and directory not in found:
                found.add(directory)
                directory = directory.rpartition("/")[0]
    return sorted(found)


def _read(path: str, signature: bytes) -> bytes:
    """The content of a file that the build read. Raises NoTwinError where somebody has changed it since."""
    digest, executable = hashed(path, follow=True)
    status = os.stat(path)  # after the reading: what was saved before it shows here
    if array("q", numbers(status)).tobytes() != signature:
        raise NoTwinError
    return _packed(bytes.fromhex(digest), status.st_size, EXECUTABLE if executable else PLAIN)


def _packed(digest: bytes, size_bytes: int, kind: int) -> bytes:
    return b"%b%b%c" % (digest, size_bytes.to_bytes(SIZE_BYTES, "little"), kind)
