"""An archive becomes a tree: the whole rule of what is accepted, and where it lands."""

import difflib
from typing import BinaryIO

from bldr.api import FetchError
from bldr.fetch.archive import Member, read_archive
from bldr.fetch.manifest import Entry
from bldr.fetch.names import Claims, HostileArchiveError, Parts, check_link, shown, split_name
from bldr.fetch.source import SINGLE_DIRECTORY, Limits
from bldr.fetch.tree import TreeWriter


def unpack(
    file: BinaryIO, destination: str, strip_prefix: str, limits: Limits, *, programs: bool = True
) -> tuple[Entry, ...]:
    """Write what the archive holds below `strip_prefix` to the new directory `destination`.

    Without `programs` no file is executable, whatever the archive says.
    Every member is checked, also those outside of `strip_prefix`; "*" stands for the one directory at the top. Raises
    HostileArchiveError for an archive that is not to be trusted and FetchError where `strip_prefix` is not a directory
    of it; what was written by then is the caller's to remove.
    """
    prefix = None if strip_prefix == SINGLE_DIRECTORY else split_name(strip_prefix, limits) if strip_prefix else ()
    writer = TreeWriter(destination)
    try:
        unpacking = _Unpacking(writer, prefix, limits, programs=programs)
        for count, member in enumerate(read_archive(file, limits), 1):
            if count > limits.entries:
                raise HostileArchiveError(f"the archive holds more than {limits.entries} members")
            unpacking.take(member)
        unpacking.link()
        return writer.finish()
    finally:
        writer.close()


class _Unpacking:
    """One archive on its way. Links are made last, so that no write can go through one."""

    def __init__(self, writer: TreeWriter, prefix: Parts | None, limits: Limits, *, programs: bool) -> None:
        self._writer = writer
        self._prefix = prefix
        self._limits = limits
        self._programs = programs
        self._claims = Claims()
        self._links: dict[Parts, str] = {}
        self._hard_links: dict[Parts, Parts] = {}
        self._is_single = False

    def take(self, member: Member) -> None:
        parts = split_name(member.name, self._limits)
        self._claims.claim(parts, "file" if member.kind == "hardlink" else member.kind)
        if self._prefix is None and parts:
            self._prefix = parts[:1]
            self._is_single = True
        inner = self._inside(parts)
        if self._is_single and parts and inner is None:
            raise FetchError(
                f"the archive holds {shown((self._prefix or parts)[0])} and {shown(parts[0])} at its top level, and "
                'strip_prefix "*" stands for a single directory',
                "name the directory instead",
            )
        if member.kind == "hardlink":
            target = split_name(member.target, self._limits)
            if self._claims.kinds.get(target) != "file" or target == parts:
                raise HostileArchiveError(
                    f"the hard link {shown(member.name)} -> {shown(member.target)} names no file before it"
                )
            if inner:
                self._hard_links[inner] = self._written(member, target)
        elif member.kind == "link":
            if inner:
                self._links[inner] = member.target
        elif member.kind == "directory":
            if inner is not None:
                self._writer.directory(inner)
        elif inner:
            self._writer.file(inner, member.executable and self._programs, member.size_bytes, member.content)

    def link(self) -> None:
        """After the last member: check the prefix, then make the links."""
        if self._prefix and self._claims.kinds.get(self._prefix) != "directory":
            raise _missing_prefix(self._prefix, self._claims)
        for parts, target in self._hard_links.items():
            self._writer.hard_link(parts, target)
        for parts, text in self._links.items():
            check_link(parts, text, self._links, self._limits)
        for parts, text in self._links.items():
            self._writer.link(parts, text)

    def _inside(self, parts: Parts) -> Parts | None:
        """The place below the prefix, () for the prefix itself, None for what lies outside."""
        prefix = self._prefix or ()
        return parts[len(prefix) :] if parts[: len(prefix)] == prefix else None

    def _written(self, member: Member, target: Parts) -> Parts:
        inner = self._inside(target)
        if not inner:
            raise FetchError(
                f"the hard link {shown(member.name)} -> {shown(member.target)} leaves what strip_prefix keeps",
                "use a shorter strip_prefix",
            )
        return self._hard_links.get(inner, inner)


def _missing_prefix(prefix: Parts, claims: Claims) -> FetchError:
    """Says what stands where the prefix leaves the archive's paths."""
    depth = next(size for size in range(1, len(prefix) + 1) if claims.kinds.get(prefix[:size]) != "directory")
    parent, text = prefix[: depth - 1], shown("/".join(prefix))
    siblings = {path[-1]: kind for path, kind in claims.kinds.items() if path[:-1] == parent}
    names = sorted(name + "/" if kind == "directory" else name for name, kind in siblings.items())
    where = f"in {shown('/'.join(parent))}" if parent else "at its top level"
    listing = ", ".join(shown(name) for name in names[:10]) + (", ..." if len(names) > 10 else "")
    directories = [name for name, kind in siblings.items() if kind == "directory"]
    close = difflib.get_close_matches(prefix[depth - 1], directories, 1)
    hint = f"did you mean strip_prefix = {shown('/'.join((*parent, close[0], *prefix[depth:])))}?" if close else ""
    return FetchError(
        f"strip_prefix {text} is not a directory of the archive, which holds {listing or 'nothing'} {where}", hint
    )
