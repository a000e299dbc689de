"""What reaches a target of Python from its deps, and how it is handed on."""

import posixpath
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from bldr.api import Artifact, CcInfo, Context, PythonInfo, first_of_each
from bldr_python.attributes import AnyPythonAttributes


class Bytecode(msgspec.Struct, frozen=True):
    """Directories with the bytecode of libraries, transitive: `pkg/a.py` is compiled at `<directory>/pkg/a.pyc`.

    `native`: below them are libraries that were built from another language, so programs need what these load.
    """

    directories: tuple[Artifact, ...] = ()
    native: bool = False


class Deps(NamedTuple):
    """All that the deps offer."""

    info: PythonInfo
    bytecode: Bytecode


def merge(infos: Iterable[PythonInfo]) -> PythonInfo:
    """Several deps as one."""
    infos = list(infos)
    return PythonInfo(
        sources=first_of_each(info.sources for info in infos),
        import_roots=first_of_each(info.import_roots for info in infos),
        runtime=first_of_each(info.runtime for info in infos),
    )


def deps_of(context: Context) -> Deps:
    """Python libraries, and shared libraries of other languages for `ctypes`."""
    infos: list[PythonInfo] = []
    bytecode: list[tuple[Artifact, ...]] = []
    native = False
    for dep in context.deps():
        info, cc = dep.get(PythonInfo), dep.get(CcInfo)
        if info is not None:
            infos.append(info)
            compiled = dep.get(Bytecode)
            if compiled is not None:
                bytecode.append(compiled.directories)
                native = native or compiled.native
        elif cc is not None and cc.shared_libraries:
            native = True
            infos.append(PythonInfo(runtime=(*cc.shared_libraries, *cc.runtime)))
        elif cc is not None:
            hint = 'give it linkage = "shared"; Python cannot load what is linked into programs'
            context.fail(f"{dep.label} is a static library", hint, "deps")
        else:
            hint = "made modules are sources, files that the program reads are data"
            context.fail(f"{dep.label} is no library for Python", hint, "deps")
    return Deps(merge(infos), Bytecode(first_of_each(bytecode), native))


def own_info(attributes: AnyPythonAttributes, context: Context) -> PythonInfo:
    """What the target itself adds. Every source must be a module that can be imported by a name."""
    roots = tuple(_root(name, context) for name in attributes.imports)
    sources = context.files("sources")
    for source in sources:
        if not source.is_directory and not source.path.endswith((".py", ".pyi")):
            hint = "files that the program reads when it runs are data"
            context.fail(f'"{source.path}" is no source of Python', hint, "sources")
        if root_of(source.path, roots) is None:
            places = ", ".join(attributes.imports) or "none"
            hint = "modules of another package belong to a library there, which is one of the deps"
            context.fail(f'"{source.path}" is in none of the directories of "imports" ({places})', hint, "sources")
    data = context.files("data")  # native modules are among it
    return PythonInfo(sources=sources, import_roots=roots if sources or data else (), runtime=data)


def root_of(path: str, roots: Iterable[str]) -> str | None:
    """The innermost import root that holds a path."""
    holding = [root for root in roots if root == "." or path.startswith(f"{root}/")]
    return max(holding, key=lambda root: 0 if root == "." else len(root), default=None)


def module_of(path: str, roots: Iterable[str]) -> str:
    """The name by which a module of the tree is imported ("pkg.mod"); "" where no root holds it."""
    root = root_of(path, roots)
    if root is None:
        return ""
    relative = path if root == "." else path[len(root) + 1 :]
    return relative.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _root(name: str, context: Context) -> str:
    if name.startswith("/") or ".." in name.split("/"):
        hint = "depend on the library that owns the modules"
        context.fail(f'the import directory "{name}" is outside the package', hint, "imports")
    return posixpath.normpath(posixpath.join(context.label.directory, name))
