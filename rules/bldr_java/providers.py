"""What reaches a target of Java from its deps, and how it is handed on."""

import msgspec

from bldr.api import Artifact, CcInfo, Context


class JavaInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a user of a library needs, transitive: `jars` in the order of the class path, `runtime` what is read or
    loaded when it runs (data, shared libraries in `native`)."""

    jars: tuple[Artifact, ...] = ()
    native: tuple[Artifact, ...] = ()
    runtime: tuple[Artifact, ...] = ()


def info_of_deps(context: Context, attribute: str = "deps") -> JavaInfo:
    """All that the deps offer to Java: jars, and the shared libraries of C for `System.loadLibrary`."""
    infos = []
    for dep in context.deps(attribute):
        info, cc = dep.get(JavaInfo), dep.get(CcInfo)
        if info is not None:
            infos.append(info)
        elif cc is not None and cc.shared_libraries:
            infos.append(JavaInfo(native=cc.shared_libraries, runtime=cc.runtime))
        else:
            context.fail(
                f"{dep.label} is no library of Java, nor a shared one of C",
                "generated sources are named in sources, files to read in data",
                attribute,
            )
    return merge(infos)


def merge(infos: list[JavaInfo]) -> JavaInfo:
    """Several deps as one; the first mention of a jar counts."""
    return JavaInfo(
        jars=tuple(dict.fromkeys(jar for info in infos for jar in info.jars)),
        native=tuple(dict.fromkeys(library for info in infos for library in info.native)),
        runtime=tuple(dict.fromkeys(file for info in infos for file in info.runtime)),
    )
