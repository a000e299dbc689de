"""What a file among the sources is, by its extension."""

import posixpath
from enum import Enum
from typing import NamedTuple

from bldr.api import Artifact, Context


class Kind(Enum):
    """How a file takes part in the build."""

    C = "c"
    CXX = "c++"
    ASSEMBLER = "assembler"
    HEADER = "header"
    OBJECT = "object"
    ARCHIVE = "archive"
    SHARED = "shared"


_KINDS = {
    ".c": Kind.C,
    ".cc": Kind.CXX, ".cpp": Kind.CXX, ".cxx": Kind.CXX, ".C": Kind.CXX, ".c++": Kind.CXX,
    ".s": Kind.ASSEMBLER, ".S": Kind.ASSEMBLER,
    ".h": Kind.HEADER, ".hh": Kind.HEADER, ".hpp": Kind.HEADER, ".hxx": Kind.HEADER, ".h++": Kind.HEADER,
    ".inc": Kind.HEADER, ".inl": Kind.HEADER, ".ipp": Kind.HEADER, ".tcc": Kind.HEADER, ".def": Kind.HEADER,
    ".o": Kind.OBJECT,
    ".a": Kind.ARCHIVE,
    ".so": Kind.SHARED,
    ".dylib": Kind.SHARED,
}  # fmt: skip
COMPILED = (Kind.C, Kind.CXX, Kind.ASSEMBLER)


def kind_of(path: str) -> Kind | None:
    """The kind of a file; None where the extension says nothing."""
    return _KINDS.get(posixpath.splitext(path)[1])


class Sources(NamedTuple):
    """The files of the attribute `sources`, sorted out."""

    compiled: tuple[Artifact, ...]
    headers: tuple[Artifact, ...]
    objects: tuple[Artifact, ...]
    archives: tuple[Artifact, ...]
    shared: tuple[Artifact, ...]
    has_cxx: bool


def sort_out(context: Context) -> Sources:
    """Group `sources` by kind; a file of no known kind fails the target. A directory holds headers."""
    found: dict[Kind, list[Artifact]] = {kind: [] for kind in Kind}
    for artifact in dict.fromkeys(context.files("sources")):
        kind = Kind.HEADER if artifact.is_directory else kind_of(artifact.path)
        if kind is None:
            context.fail(
                f'"{artifact.path}" is no source of C or C++',
                f"known are {' '.join(_KINDS)}; files that the program reads when it runs are data",
                "sources",
            )
        found[kind].append(artifact)
    compiled = [artifact for kind in COMPILED for artifact in found[kind]]
    return Sources(
        compiled=tuple(compiled),
        headers=tuple(found[Kind.HEADER]),
        objects=tuple(found[Kind.OBJECT]),
        archives=tuple(found[Kind.ARCHIVE]),
        shared=tuple(found[Kind.SHARED]),
        has_cxx=bool(found[Kind.CXX]),
    )
