"""What messages tell those that import them."""

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from bldr.api import Artifact, Context

T = TypeVar("T")


class ProtoInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a file that imports others needs, transitive: files, and the directories in which their names begin."""

    sources: tuple[Artifact, ...] = ()
    roots: tuple[str, ...] = ()


def unique(groups: Iterable[Iterable[T]]) -> tuple[T, ...]:
    """All elements once, where they came first: the order in which imports are looked for."""
    return tuple(dict.fromkeys(element for group in groups for element in group))


def info_of_deps(context: Context) -> ProtoInfo:
    """All that the deps offer to imports."""
    infos = []
    for dep in context.deps():
        info = dep.get(ProtoInfo)
        if info is None:
            context.fail(f"{dep.label} is no library of messages", "its language is protobuf", "deps")
        infos.append(info)
    return ProtoInfo(sources=unique(info.sources for info in infos), roots=unique(info.roots for info in infos))
