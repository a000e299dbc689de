"""One action per source file: source to object."""

import posixpath
from typing import NamedTuple

from bldr.api import TREE_ROOT, Action, Artifact, CcInfo, Context, Toolchain, first_of_each
from bldr_cc import formats
from bldr_cc.attributes import AnyCcAttributes
from bldr_cc.sources import Kind, kind_of

_MODES = {"default": (), "debug": ("-O0", "-g"), "release": ("-O2", "-DNDEBUG")}
_MACHINE_FLAGS = ("-march=native", "-mtune=native", "-mcpu=native")
_NAMES = {Kind.C: "C", Kind.CXX: "C++", Kind.ASSEMBLER: "assembler"}


class CompileSettings(NamedTuple):
    """What all sources of a target share."""

    toolchain: Toolchain
    headers: tuple[Artifact, ...]
    arguments: tuple[str, ...]
    env: dict[str, str]
    position_independent: bool


def compile_settings(
    attributes: AnyCcAttributes, info: CcInfo, context: Context, *, position_independent: bool
) -> CompileSettings:
    """The shared part of the command lines. `info` is what the target itself exports, its deps included."""
    _check_flags(attributes, context)
    toolchain = context.toolchain("cc")
    defines = first_of_each((info.defines, attributes.local_defines))
    arguments = (
        *(f"-D{define}" for define in defines),
        *(argument for path in _quote_dirs(info, context) for argument in formats.quote_directory(toolchain, path)),
        *(f"-I{path or '.'}" for path in info.include_dirs),
        *formats.without_paths(toolchain, attributes.flags),
    )
    return CompileSettings(toolchain, info.headers, arguments, attributes.env, position_independent)


def configured_flags(context: Context, *, cxx: bool) -> tuple[str, ...]:
    """What the configuration adds to the flags of all targets: compilers and linkers are given it."""
    return context.configuration.flags_of("c++" if cxx else "c")


def _check_flags(attributes: AnyCcAttributes, context: Context) -> None:
    configured = {*configured_flags(context, cxx=False), *configured_flags(context, cxx=True)}
    for flag in (*attributes.flags, *sorted(configured)):
        if flag in _MACHINE_FLAGS:
            context.fail(
                f'"{flag}" makes the result depend on the machine that builds',
                f'name the processor: "{flag.partition("=")[0]}=x86-64-v2"',
                "flags" if flag in attributes.flags else "",
            )
    for attribute, defines in (("defines", attributes.defines), ("local_defines", attributes.local_defines)):
        for define in defines:
            if define.startswith("-"):
                context.fail(f'"{define}" is no macro', 'write "NAME" or "NAME=value"', attribute)


def _quote_dirs(info: CcInfo, context: Context) -> tuple[str, ...]:
    """Where `#include "..."` looks after the including file's own directory: the package, then the roots of trees."""
    roots = [_tree_of(f"{context.label.directory}/"), *(_tree_of(header.path) for header in info.headers)]
    return tuple(path or "." for path in dict.fromkeys((context.label.directory, *roots, "")))


def _tree_of(path: str) -> str:
    """The root of the repository that a path of the tree lies in: `external/<name>`, or "" for the workspace."""
    parts = path.split("/", 2)
    return f"external/{parts[1]}" if len(parts) > 2 and parts[0] == "external" else ""


def compile_source(source: Artifact, settings: CompileSettings, context: Context) -> Action:
    """The action that compiles one source."""
    kind = kind_of(source.path)
    assert kind is not None
    attributes = settings.toolchain.attributes
    compiler = attributes["cxx" if kind is Kind.CXX else "cc"]
    if not compiler:
        hint = formats.hint_for_cxx(settings.toolchain)
        context.fail("this machine's toolchain has no compiler for C++", hint, "sources")
    target = context.label.name
    made = context.declare_file(f"{target}.objects/{_object_name(source.path, context)}")
    depfile = f"{made.path}.d" if _depfile_is_complete(kind, settings.headers) else ""
    argv = (
        compiler,
        *_reproducible(made.path, settings.toolchain),
        *(("-fPIC",) if settings.position_independent else ()),
        *formats.without_paths(settings.toolchain, _MODES[context.configuration.mode]),
        *formats.without_paths(settings.toolchain, configured_flags(context, cxx=kind is Kind.CXX)),
        *settings.arguments,
        *(("-MD", "-MF", depfile) if depfile else ()),
        "-c",
        source.path,
        "-o",
        made.path,
    )
    return Action(
        argv=argv,
        inputs=first_of_each(((source,), settings.headers)),
        outputs=(made,),
        mnemonic="Compile",
        message=f"Compiling {source.path} as {_NAMES[kind]}",
        env=settings.env,
        toolchains=("cc",),
        depfile=depfile,
    )


def _depfile_is_complete(kind: Kind, headers: tuple[Artifact, ...]) -> bool:
    """Whether the preprocessor sees all that is read: `.incbin` and `.include` of the assembler are not in depfiles.

    Such a file comes among the headers with an extension that no header has; then everything counts as read.
    """
    return kind is not Kind.ASSEMBLER and all(kind_of(header.path) is Kind.HEADER for header in headers)


def _reproducible(object_path: str, toolchain: Toolchain) -> tuple[str, ...]:
    """No path of the tree's root, no random number and no clock may reach the object."""
    attributes = toolchain.attributes
    mapped = (f"-ffile-prefix-map={TREE_ROOT}=.", f"-frandom-seed={object_path}")
    flags: tuple[str, ...] = () if formats.is_tinycc(toolchain) else mapped
    if attributes["compiler"] == "clang":  # which maps no prefix when it assembles
        flags += ("-fdebug-compilation-dir=.",)
    if attributes.get("honours_source_date_epoch") == "no":  # else __DATE__ follows SOURCE_DATE_EPOCH
        flags += ("-Wno-builtin-macro-redefined", '-D__DATE__="Jan  1 1980"', '-D__TIME__="00:00:00"')
    return flags


def _object_name(path: str, context: Context) -> str:
    """`src/main.c.o`; a source of another package, which a label brought, keeps its whole path."""
    directory = context.label.directory
    inside = posixpath.relpath(path, directory) if directory else path
    return f"{path}.o" if inside.startswith("../") else f"{inside}.o"
