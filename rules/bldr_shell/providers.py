"""What reaches a script from its deps, and how it is handed on."""

from collections.abc import Iterable

import msgspec

from bldr.api import Artifact, Context, Executable, Files, first_of_each


class ShellInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a script that sources a library needs, transitive: scripts, what they read and run, and toolchains."""

    sources: tuple[Artifact, ...] = ()
    runtime: tuple[Artifact, ...] = ()
    toolchains: tuple[str, ...] = ()


def merge(infos: Iterable[ShellInfo]) -> ShellInfo:
    """Several deps as one."""
    infos = list(infos)
    return ShellInfo(
        sources=first_of_each(info.sources for info in infos),
        runtime=first_of_each(info.runtime for info in infos),
        toolchains=first_of_each(info.toolchains for info in infos),
    )


def info_of_deps(context: Context) -> ShellInfo:
    """Libraries; programs of any language, with what stands beside them; and files that somebody makes."""
    infos = []
    for dep in context.deps():
        info, executable, files = dep.get(ShellInfo), dep.get(Executable), dep.get(Files)
        if info is not None:
            infos.append(info)
        elif executable is not None:
            runtime = (executable.program, *executable.runtime)
            infos.append(ShellInfo(runtime=runtime, toolchains=executable.toolchains))
        elif files is not None:
            infos.append(ShellInfo(runtime=files.files))
        else:
            context.fail(f"{dep.label} is neither a library nor a program, and makes no files", attribute="deps")
    return merge(infos)
