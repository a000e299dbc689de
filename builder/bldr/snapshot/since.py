"""What has changed since a snapshot was written, kept beside it: a build of little need not write all of it again."""

import os

from bldr.snapshot.files import SINCE, read
from bldr.snapshot.proofs import FREE, UNFOLLOWED, is_content, numbers

TYPE_CHECKING = False  # see bldr.cli.main
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bldr.snapshot.proofs import Group, Place

    Content = tuple[str, bool]
    Signature = tuple[int, int, int, int, int]


class Since:
    """Files with another signature than the snapshot has, or with a known content and none; and new pieces of actions.

    A place has a signature or a content, never both.
    """

    __slots__ = ("contents", "pieces", "signatures")

    def __init__(
        self,
        signatures: "dict[Place, Signature] | None" = None,
        contents: "dict[Place, Content] | None" = None,
        pieces: "dict[int, bytes] | None" = None,
    ) -> None:
        self.signatures: dict[Place, Signature] = {} if signatures is None else signatures
        self.contents: dict[Place, Content] = {} if contents is None else contents
        self.pieces: dict[int, bytes] = {} if pieces is None else pieces

    @property
    def places(self) -> "set[Place]":
        """All files that are not as the snapshot says."""
        return {*self.signatures, *self.contents}

    def changed(
        self, different: "Sequence[Place]", groups: "Mapping[int, Group]", unsettled: "Mapping[Place, Content]"
    ) -> "list[Place] | None":
        """Which of the files that are not as the snapshot says are not as they were last either.

        None where one of them is no source, or a file is again what it cannot be.
        """
        if not self.places.issubset(different):
            return None
        changed = []
        for place in different:
            kind, directory, names, _ = groups[place[0]]
            path = f"{directory}/{names[place[1]]}"
            if not self._is_known(place, path, unsettled, follow=kind != UNFOLLOWED):
                if kind != FREE:
                    return None
                changed.append(place)
        return changed

    def _is_known(self, place: "Place", path: str, unsettled: "Mapping[Place, Content]", *, follow: bool) -> bool:
        wanted = self.signatures.get(place)
        if wanted is not None:
            try:
                return numbers(os.stat(path) if follow else os.lstat(path)) == wanted
            except OSError:
                return False
        content = self.contents.get(place) or unsettled.get(place)
        return content is not None and is_content(path, content, follow=follow)


def read_since(place: str, cache_directory: str, base: bytes) -> Since:
    """What has changed since the snapshot at `place`, whose identity is `base`; nothing where nothing is known."""
    found = read(place + SINCE, cache_directory)
    if found is None or found.head["base"] != base:
        return Since()
    return Since(found.head["signatures"], found.head["contents"], found.head["pieces"])


def write_since(place: str, base: bytes, since: Since) -> None:
    """Put it in the place of what was there. Raises OSError."""
    from bldr.snapshot.files import write

    head = {"base": base, "signatures": since.signatures, "contents": since.contents, "pieces": since.pieces}
    write(place + SINCE, head)
