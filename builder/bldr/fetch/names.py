"""Which names an archive may use: pure rules on the paths of members and the targets of links."""

from collections.abc import Mapping
from typing import Literal

from bldr.api import FetchError
from bldr.fetch.source import Limits

Kind = Literal["file", "directory", "link"]
Parts = tuple[str, ...]

_MAX_LINK_STEPS = 40  # as in the kernel (path_resolution(7))
_SHOWN_CHARACTERS = 300
_COMPONENT_BYTES = 255  # NAME_MAX of every common file system


class HostileArchiveError(FetchError):
    """An archive holds what no honest archive needs; nothing of it is kept."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "do not use this archive; get another from the project that publishes it")


def printable(text: str) -> str:
    """Text from outside for a message: cut, and with nothing in it that a terminal would obey."""
    short = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in short)


def shown(name: str) -> str:
    """A member's name for a message, quoted."""
    return f'"{printable(name)}"'


def checked_text(text: str, what: str) -> None:
    """Refuse text that is not UTF-8 or that holds control characters or line separators."""
    import unicodedata  # takes as long to load as all of this package, which most builds have no use for

    for character in text:
        category = unicodedata.category(character)
        if category == "Cs":
            raise HostileArchiveError(f"the {what} {shown(text)} is not UTF-8")
        if category in ("Cc", "Zl", "Zp"):
            raise HostileArchiveError(f"the {what} {shown(text)} holds a control character")


def split_name(name: str, limits: Limits) -> Parts:
    """The components of a member's name below the archive's root; () for the root itself ("./").

    Raises HostileArchiveError for a name that is absolute, climbs, or is longer or deeper than `limits` allow.
    """
    checked_text(name, "name")
    if name.startswith("/"):
        raise HostileArchiveError(f"the archive holds the absolute path {shown(name)}")
    if not name:
        raise HostileArchiveError("the archive holds a member without a name")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise HostileArchiveError(f'the archive holds the path {shown(name)}, which climbs by ".."')
    if len(name.encode()) > limits.name_bytes:
        raise HostileArchiveError(f"the archive holds a path longer than {limits.name_bytes} bytes: {shown(name)}")
    if len(parts) > limits.depth:
        raise HostileArchiveError(f"the archive holds a path of more than {limits.depth} directories: {shown(name)}")
    for part in parts:
        if len(part.encode()) > _COMPONENT_BYTES:
            raise HostileArchiveError(f"the archive holds a name longer than {_COMPONENT_BYTES} bytes: {shown(part)}")
    return parts


def folded(part: str) -> str:
    """What two names have in common that are one file on a file system which ignores case or normalises names."""
    import unicodedata

    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", part).casefold())


class Claims:
    """The names that the members of one archive took so far, each with one kind."""

    def __init__(self) -> None:
        self.kinds: dict[Parts, Kind] = {}
        self._spellings: dict[Parts, Parts] = {}

    def claim(self, parts: Parts, kind: Kind) -> None:
        """Take a name, and its parents as directories. Only directories may be named twice."""
        if not parts:
            if kind != "directory":
                raise HostileArchiveError("the archive's root is not a directory")
            return
        for length in range(1, len(parts)):
            self._claim_one(parts[:length], "directory")
        self._claim_one(parts, kind)

    def _claim_one(self, parts: Parts, kind: Kind) -> None:
        known = self.kinds.get(parts)
        if known == kind == "directory":
            return
        path = shown("/".join(parts))
        if known is not None and known == kind:
            raise HostileArchiveError(f"the archive holds {path} twice")
        if known is not None:
            raise HostileArchiveError(f"the archive holds {path} both as a {known} and as a {kind}")
        # The parent has been claimed already, so only the last component can differ in spelling.
        key = (*parts[:-1], folded(parts[-1]))
        other = self._spellings.setdefault(key, parts)
        if other != parts:
            raise HostileArchiveError(
                f"the archive holds {shown('/'.join(other))} and {path}, which are one file where case is ignored"
            )
        self.kinds[parts] = kind


def check_link(parts: Parts, target: str, links: Mapping[Parts, str], limits: Limits) -> None:
    """Refuse a symbolic link whose target, followed through the tree's other links, leaves the tree.

    `links` maps every link of the tree to its target. A target that does not exist is harmless inside the tree; so is
    a loop.
    """
    link = f"the link {shown('/'.join(parts))} -> {shown(target)}"
    checked_text(target, "link target")
    if not target or len(target.encode()) > limits.name_bytes:
        raise HostileArchiveError(f"{link} has an empty or overlong target")
    if target.startswith("/"):
        raise HostileArchiveError(f"{link} is absolute")
    pending = target.split("/")[::-1]
    at = list(parts[:-1])
    steps = 0
    while pending:
        part = pending.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not at:
                raise HostileArchiveError(f"{link} leaves the tree")
            at.pop()
            continue
        at.append(part)
        through = links.get(tuple(at))
        if through is None:
            continue
        steps += 1
        if steps > _MAX_LINK_STEPS:
            return
        if through.startswith("/"):
            raise HostileArchiveError(f"{link} leaves the tree")
        at.pop()
        pending.extend(through.split("/")[::-1])
