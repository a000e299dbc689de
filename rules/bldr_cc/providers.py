"""What reaches a target of C or C++ from its deps, and how it is handed on."""

from collections.abc import Iterable

from bldr.api import Artifact, CcInfo, Context, Executable, Files, first_of_each, last_of_each
from bldr_cc.sources import Kind, kind_of


def merge(infos: Iterable[CcInfo]) -> CcInfo:
    """Several deps as one."""
    infos = list(infos)
    return CcInfo(
        headers=first_of_each(info.headers for info in infos),
        include_dirs=first_of_each(info.include_dirs for info in infos),
        defines=first_of_each(info.defines for info in infos),
        static_libraries=last_of_each(info.static_libraries for info in infos),
        shared_libraries=last_of_each(info.shared_libraries for info in infos),
        link_flags=last_of_each(info.link_flags for info in infos),
        needs_cxx_runtime=any(info.needs_cxx_runtime for info in infos),
        runtime=first_of_each(info.runtime for info in infos),
    )


def info_of_deps(context: Context) -> CcInfo:
    """All that the deps offer to C; a target that makes files offers them as headers and libraries."""
    infos = []
    for dep in context.deps():
        info = dep.get(CcInfo)
        files = dep.get(Files)
        if info is not None:
            infos.append(info)
        elif files is None or dep.get(Executable) is not None:
            context.fail(
                f"{dep.label} is neither a library nor a maker of headers",
                "a program that the target needs when it runs is data",
                "deps",
            )
        else:
            infos.append(info_of_files(files.files))
    return merge(infos)


def info_of_files(files: tuple[Artifact, ...]) -> CcInfo:
    """Made files as a library: archives and shared libraries to link, all others to include."""
    kinds = [(artifact, kind_of(artifact.path)) for artifact in files]
    return CcInfo(
        headers=tuple(artifact for artifact, kind in kinds if kind not in (Kind.ARCHIVE, Kind.SHARED)),
        static_libraries=tuple(artifact for artifact, kind in kinds if kind is Kind.ARCHIVE),
        shared_libraries=tuple(artifact for artifact, kind in kinds if kind is Kind.SHARED),
    )
