"""What reaches a crate from its deps, and how it is handed on."""

import posixpath
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from bldr.api import Artifact, CcInfo, Context, Executable, Files, Label, first_of_each, last_of_each, parse_label
from bldr_rust.attributes import AnyRustAttributes


class RustInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A crate that others may use.

    `crates` are all files that the compiler may open when it reads `library`, itself included. `native` is what a
    program with the crate in it links besides, `runtime` the data that it reads when it runs.
    """

    crate_name: str
    library: Artifact
    crates: tuple[Artifact, ...]
    native: CcInfo = CcInfo()
    runtime: tuple[Artifact, ...] = ()


class Extern(NamedTuple):
    """A direct dep: the name that the source uses, and its file."""

    name: str
    library: Artifact


class Deps(NamedTuple):
    """All that the deps of a crate offer."""

    externs: tuple[Extern, ...]
    crates: tuple[Artifact, ...]
    native: CcInfo
    runtime: tuple[Artifact, ...]


def merge_native(infos: Iterable[CcInfo]) -> CcInfo:
    """What several deps make a program link; headers are nothing to Rust."""
    infos = list(infos)
    return CcInfo(
        static_libraries=last_of_each(info.static_libraries for info in infos),
        shared_libraries=last_of_each(info.shared_libraries for info in infos),
        link_flags=last_of_each(info.link_flags for info in infos),
        needs_cxx_runtime=any(info.needs_cxx_runtime for info in infos),
        runtime=first_of_each(info.runtime for info in infos),
    )


def deps_of(attributes: AnyRustAttributes, context: Context, attribute: str = "deps") -> Deps:
    """Sort out the deps: crates, libraries of C, and commands that make libraries of C."""
    aliases = _aliases(attributes, context) if attribute == "deps" else {}
    externs: list[Extern] = []
    crates: list[tuple[Artifact, ...]] = []
    native: list[CcInfo] = []
    runtime: list[tuple[Artifact, ...]] = []
    for dep in context.deps(attribute):
        info, cc, files = dep.get(RustInfo), dep.get(CcInfo), dep.get(Files)
        if info is not None:
            externs.append(Extern(aliases.pop(dep.label, info.crate_name), info.library))
            crates.append(info.crates)
            native.append(info.native)
            runtime.append(info.runtime)
        elif cc is not None:
            native.append(cc)
            runtime.append(cc.runtime)
        elif files is not None and dep.get(Executable) is None:
            native.append(_libraries(files.files, dep.label, context))
        else:
            context.fail(
                f"{dep.label} is neither a crate nor a library of C",
                "a program that the target needs when it runs is data",
                attribute,
            )
    if aliases:
        context.fail(f"{next(iter(aliases))} has an alias and is no crate among the deps", attribute="aliases")
    _check_names(externs, context)
    return Deps(tuple(externs), first_of_each(crates), merge_native(native), first_of_each(runtime))


def _aliases(attributes: AnyRustAttributes, context: Context) -> dict[Label, str]:
    found = {}
    for text, name in attributes.aliases.items():
        try:
            label = parse_label(text, context.label.package, context.label.repository)
        except ValueError as error:
            context.fail(str(error), attribute="aliases")
        found[label] = name
    return found


def _check_names(externs: list[Extern], context: Context) -> None:
    seen: dict[str, Artifact] = {}
    for extern in externs:
        if seen.setdefault(extern.name, extern.library) != extern.library:
            context.fail(
                f'two deps are called "{extern.name}": {seen[extern.name].owner} and {extern.library.owner}',
                'give one of them another name: aliases = { "//label" = "name" }',
                "deps",
            )


def _libraries(files: tuple[Artifact, ...], label: Label, context: Context) -> CcInfo:
    static = tuple(file for file in files if posixpath.splitext(file.path)[1] == ".a")
    shared = tuple(file for file in files if posixpath.splitext(file.path)[1] == ".so")
    if not static and not shared:
        context.fail(
            f"{label} makes no library",
            "made Rust code and other files that the compiler reads are sources",
            "deps",
        )
    return CcInfo(static_libraries=static, shared_libraries=shared)
