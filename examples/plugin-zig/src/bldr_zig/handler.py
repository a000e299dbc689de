"""From a target of Zig to its one action: the compiler reads a module and all that it imports at once."""

import posixpath
from collections.abc import Sequence
from typing import ClassVar

from bldr.api import Action, Analysis, Artifact, CcInfo, Context, Executable, Files, TargetAttributes, TestInfo

from bldr_zig.attributes import AnyZigAttributes, ZigAttributes, ZigLibraryAttributes, ZigTestAttributes
from bldr_zig.providers import Module, ZigInfo

LANGUAGE = "zig"
TOOLCHAIN = "zig"

_OPTIMIZE = {"default": "Debug", "debug": "Debug", "release": "ReleaseSafe"}
_OF_THIS_MACHINE = ("-mcpu=native", "-target", "--cache-dir", "--global-cache-dir", "--zig-lib-dir")


class ZigHandler:
    """Serves executables, libraries and tests of the language "zig"."""

    name: ClassVar[str] = "zig"
    serves: ClassVar[tuple[tuple[str, str | None], ...]] = tuple(
        (type, LANGUAGE) for type in ("executable", "library", "test")
    )
    semantics_version: ClassVar[int] = 1

    def attributes(self, type: str) -> type[TargetAttributes]:
        """The struct for targets of one type."""
        if type == "library":
            return ZigLibraryAttributes
        return ZigTestAttributes if type == "test" else ZigAttributes

    def analyze(self, attributes: TargetAttributes, context: Context) -> Analysis:
        """One action, and what users may know."""
        assert isinstance(attributes, AnyZigAttributes)
        info = _info(attributes, context)
        if isinstance(attributes, ZigLibraryAttributes):
            return _library(attributes, info, context)
        program = context.declare_file(context.label.name)
        data = context.files("data")
        provides = (Files((program,)), Executable(program, data))
        if not isinstance(attributes, ZigTestAttributes):
            return Analysis((_compile("build-exe", (), program, attributes, info, context),), provides)
        action = _compile("test", ("--test-no-exec",), program, attributes, info, context)
        test = TestInfo(argv=(program.path,), inputs=(program, *data), env=attributes.env)
        return Analysis((action,), (*provides, test))


def _library(attributes: ZigLibraryAttributes, info: ZigInfo, context: Context) -> Analysis:
    """Users in Zig compile its sources themselves; the archive is for users in C, and made for those who ask for it."""
    archive = context.declare_file(f"lib{context.label.name}.a")
    action = _compile("build-lib", ("-fPIC", "-fcompiler-rt"), archive, attributes, info, context)
    for_c = CcInfo(headers=context.files("headers"), static_libraries=(archive,), runtime=context.files("data"))
    return Analysis((action,), (info, for_c, Files((archive,))))


def _info(attributes: AnyZigAttributes, context: Context) -> ZigInfo:
    """The target's own module, and those of the libraries below it, each once."""
    below: list[ZigInfo] = []
    for dep in context.deps():
        info = dep.get(ZigInfo)
        if info is None:
            context.fail(f"{dep.label} is no library of Zig", "deps are libraries; files are data", "deps")
        below.append(info)
    sources = context.files("sources")
    own = Module(context.label.name, _root(attributes, sources, context), tuple(info.modules[0].name for info in below))
    modules = tuple(dict.fromkeys([own, *(module for info in below for module in info.modules)]))
    names = [module.name for module in modules]
    for name in names:
        if names.count(name) > 1:
            context.fail(f'two libraries are imported as "{name}"', "give one of them another name", "deps")
    return ZigInfo(modules, tuple(dict.fromkeys([*sources, *(source for info in below for source in info.sources)])))


def _root(attributes: AnyZigAttributes, sources: Sequence[Artifact], context: Context) -> Artifact:
    directory = context.label.directory
    usual = "root.zig" if isinstance(attributes, ZigLibraryAttributes) else "main.zig"
    wanted = posixpath.join(directory, attributes.root or usual)
    found = [source for source in sources if source.path == wanted]
    if not found and not attributes.root:
        found = [source for source in sources if source.path.endswith(".zig")]
    if len(found) != 1:
        what = f'"{attributes.root}" is not among the sources' if attributes.root else "which source is the root?"
        context.fail(what, f'name one of the sources: root = "{usual}"', "root" if attributes.root else "sources")
    return found[0]


def _compile(
    command: str,
    more: tuple[str, ...],
    output: Artifact,
    attributes: AnyZigAttributes,
    info: ZigInfo,
    context: Context,
) -> Action:
    flags = (*context.configuration.flags_of(LANGUAGE), *attributes.flags)
    for before, flag in zip(("", *flags), flags, strict=False):
        said = f"{before}={flag}" if before == "-mcpu" else flag  # zig takes both spellings
        if said.startswith(_OF_THIS_MACHINE):
            context.fail(
                f'the flag "{said}" would make the result depend on the machine that builds', "take it out", "flags"
            )
    modules: list[str] = []
    for at, module in enumerate(info.modules):
        modules += [word for name in module.imports for word in ("--dep", name)]
        modules.append(f"-M{module.name if at else 'root'}={module.root.path}")
    mode = context.configuration.mode
    return Action(
        argv=(
            "zig",
            command,
            *("--cache-dir", "/tmp/zig", "--global-cache-dir", "/tmp/zig"),  # the sandbox's own, and empty
            *("-target", f"{context.platform.arch}-{context.platform.os}-musl", "-mcpu=baseline"),
            f"-O{_OPTIMIZE[mode]}",
            *(() if mode == "debug" else ("-fstrip",)),
            *more,
            *flags,
            *modules,
            *("--name", context.label.name, f"-femit-bin={output.path}"),
        ),
        inputs=info.sources,
        outputs=(output,),
        mnemonic="Zig",
        message=f"Compiling {output.path}",
        toolchains=(TOOLCHAIN,),
    )
