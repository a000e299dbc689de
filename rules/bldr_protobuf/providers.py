"""What messages tell those that import them."""

import msgspec

from bldr.api import Artifact, Context, first_of_each


class ProtoInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a file that imports others needs, transitive: files, and the directories in which their names begin."""

    sources: tuple[Artifact, ...] = ()
    roots: tuple[str, ...] = ()


def info_of_deps(context: Context) -> ProtoInfo:
    """All that the deps offer to imports."""
    infos = []
    for dep in context.deps():
        info = dep.get(ProtoInfo)
        if info is None:
            context.fail(f"{dep.label} is no library of messages", "its language is protobuf", "deps")
        infos.append(info)
    return ProtoInfo(
        sources=first_of_each(info.sources for info in infos), roots=first_of_each(info.roots for info in infos)
    )
