"""Detects the toolchains "cc" and "cc-runtime"."""

import os
from collections.abc import Iterable, Mapping

from bldr.api import Toolchain, ToolchainError
from bldr.api.content import content_of
from bldr.api.elf import HostFiles, runtime_files, standing
from bldr.api.macho import SYSTEM_VERSION
from bldr_cc import apple
from bldr_cc.compiler import Compiler, find_compiler, find_library, find_program, script_files, search_path
from bldr_cc.tinycc import find_tinycc
from bldr_cc.toolchain import CcDetector, CcRuntimeDetector

_BINUTILS = (
    "ar", "as", "ld", "ld.bfd", "ld.gold", "ld.lld", "nm", "objcopy", "objdump", "ranlib", "readelf", "size", "strip",
    "gcc-ar", "gcc-nm", "gcc-ranlib", "llvm-ar",
)  # fmt: skip
_START_FILES = (
    "crt1.o", "Scrt1.o", "gcrt1.o", "grcrt1.o", "rcrt1.o", "Mcrt1.o", "crti.o", "crtn.o",
    "crtbegin.o", "crtbeginS.o", "crtbeginT.o", "crtend.o", "crtendS.o",
)  # fmt: skip
_LIBRARIES = (
    "c", "c_nonshared", "m", "mvec", "pthread", "pthread_nonshared", "dl", "rt", "util", "resolv", "anl",
    "gcc", "gcc_eh", "gcc_s", "stdc++", "stdc++fs", "supc++", "c++", "c++abi", "unwind",
    "atomic", "gomp", "itm", "quadmath", "asan", "lsan", "tsan", "ubsan", "hwasan", "ssp", "ssp_nonshared",
)  # fmt: skip
_FOREIGN_ROOTS = ("/usr/local", "/Library/Frameworks")


def detect_compiler(env: Mapping[str, str]) -> Toolchain:
    if os.name == "nt":
        return find_tinycc(CcDetector.name, env)
    compiler = find_compiler(env)
    executables = _executables(compiler, env)
    roots = _roots(compiler)
    named = runtime_files((*executables.values(), *compiler.backends, *_parts(compiler)))
    linked = _linked(compiler)
    loaded = runtime_files(path for path in linked if _is_shared(path))
    parts = [named, standing(linked), loaded]
    files, links = _outside(roots, parts)
    resolved = {name: os.path.realpath(path) for name, path in executables.items()}
    content = content_of(files, (*links, *resolved.items()), roots)
    return Toolchain(
        name=CcDetector.name,
        executables=resolved,
        files=files,
        links=links,
        roots=roots,
        # Without the shim somebody else has to say where headers are, and that archives tell no time.
        env={"SDKROOT": compiler.sdk, "ZERO_AR_DATE": "1"} if compiler.sdk else {},
        attributes={
            "compiler": compiler.kind,
            "version": compiler.version,
            "cc": os.path.basename(compiler.cc),
            "cxx": os.path.basename(compiler.cxx),
            "honours_source_date_epoch": _honours_source_date_epoch(compiler),
            **({"format": "mach-o"} if compiler.sdk else {}),
        },
        identity=content.identity,
        # A program that appears on PATH may be found instead of the one that was.
        sentinels=(*files, *_sentinels(compiler, content.directories), *search_path(env)),
    )


def detect_runtime(env: Mapping[str, str]) -> Toolchain:
    if os.name == "nt":  # where programs load nothing but what every Windows has
        return Toolchain(name=CcRuntimeDetector.name, executables={}, identity=content_of(()).identity)
    compiler = find_compiler(env)
    loaded = runtime_files(path for path in _linked(compiler) if _is_shared(path))
    links = tuple(link for link in loaded.links if not _below_any(link[0], _roots(compiler)))
    system = (SYSTEM_VERSION,) if compiler.sdk and os.path.isfile(SYSTEM_VERSION) else ()
    files = (*loaded.files, *system)
    return Toolchain(
        name=CcRuntimeDetector.name,
        executables={},
        files=files,
        links=links,
        identity=content_of(files, links).identity,
        sentinels=(*files, *search_path(env)),
    )


def _executables(compiler: Compiler, env: Mapping[str, str]) -> dict[str, str]:
    """Command name -> path. The generic names stand for the chosen compiler, so that makefiles find it too."""
    names = (*_BINUTILS, *apple.TOOLS) if compiler.sdk else _BINUTILS
    found = {name: path for name in names if (path := _find_part(name, compiler, env))}
    for generic, path in (("cc", compiler.cc), ("c++", compiler.cxx)):
        if path:
            found.update(dict.fromkeys((os.path.basename(path), generic), path))
    return found


def _find_part(name: str, compiler: Compiler, env: Mapping[str, str]) -> str:
    """The compiler's own directories come before PATH, as they do when it looks itself."""
    for directory in compiler.program_dirs:
        path = os.path.join(directory, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    path = find_program(name, env)
    try:
        return apple.behind_shim(path, find_program("xcrun", env), env)
    except ToolchainError:  # a shim for what is not installed
        return ""


def _roots(compiler: Compiler) -> tuple[str, ...]:
    """Directories to show as they are: headers and the compiler's own parts; none inside another."""
    wanted = [path for path in compiler.include_dirs if not _below_any(path, _FOREIGN_ROOTS)]
    wanted += [compiler.sdk] if compiler.sdk else []
    wanted += [os.path.dirname(path) for path in compiler.backends]
    wanted += [compiler.resource_dir] if compiler.resource_dir else []
    wanted += [os.path.dirname(path) for path in (find_library("crtbegin.o", compiler),) if path]
    there = {os.path.realpath(path) for path in wanted if os.path.isdir(path)}
    return tuple(sorted(path for path in there if not any(_below(path, other) for other in there if other != path)))


def _sentinels(compiler: Compiler, directories: Iterable[str]) -> tuple[str, ...]:
    """What shows that the roots are as they were: all of their directories, but those of an SDK."""
    if not compiler.sdk:
        return tuple(directories)
    outside = (path for path in directories if not _below(path, compiler.sdk))
    return (*outside, *apple.sdk_sentinels(compiler.sdk))


def _linked(compiler: Compiler) -> list[str]:
    """Start files and libraries that a link may take, and what linker scripts among them name."""
    names = [*_START_FILES, *(f"lib{name}{suffix}" for name in _LIBRARIES for suffix in (".so", ".a"))]
    found = [path for name in names if (path := find_library(name, compiler))]
    named = [path for script in found if not script.endswith(".o") for path in script_files(script, compiler)]
    return list(dict.fromkeys((*found, *named)))


def _parts(compiler: Compiler) -> list[str]:
    """Programs and plugins that lie in the compiler's own directories and are run or loaded by name."""
    directories = {os.path.dirname(path) for path in compiler.backends}
    plugin = os.path.join(os.path.dirname(os.path.realpath(compiler.cc)), "../lib/LLVMgold.so")  # clang -flto
    paths = [os.path.join(directory, name) for directory in directories for name in os.listdir(directory)]
    programs = [path for path in paths if os.path.isfile(path) and (os.access(path, os.X_OK) or path.endswith(".so"))]
    return sorted((*programs, *((os.path.normpath(plugin),) if os.path.isfile(plugin) else ())))


def _is_shared(path: str) -> bool:
    """Whether the loader may meet the file: ELF, but no object to be linked."""
    if path.endswith((".o", ".a")):
        return False
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def _outside(roots: Iterable[str], parts: Iterable[HostFiles]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The files and links that do not stand below the roots, which show theirs themselves."""
    roots, parts = tuple(roots), tuple(parts)
    files = {path for part in parts for path in part.files if not _below_any(path, roots)}
    links = {link for part in parts for link in part.links if not _below_any(link[0], roots)}
    return tuple(sorted(files)), tuple(sorted(links))


def _below_any(path: str, roots: tuple[str, ...]) -> bool:
    return any(_below(path, root) for root in roots)


def _below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f"{directory}/")


def _honours_source_date_epoch(compiler: Compiler) -> str:
    """clang takes __DATE__ from SOURCE_DATE_EPOCH since version 16, gcc since 7."""
    major = int(compiler.version.partition(".")[0] or 0)
    return "yes" if major >= (16 if compiler.kind == "clang" else 7) else "no"
