"""What libraries of Zig tell those that import them."""

import msgspec
from bldr.api import Artifact


class Module(msgspec.Struct, frozen=True):
    """One library as the compiler sees it: the name by which others import it, its root, and what it imports."""

    name: str
    root: Artifact
    imports: tuple[str, ...]


class ZigInfo(msgspec.Struct, frozen=True):
    """A library and all that it needs: `modules` begin with its own; `sources` are those of all of them."""

    modules: tuple[Module, ...]
    sources: tuple[Artifact, ...]
