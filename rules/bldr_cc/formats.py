"""Where the compilers, linkers and archivers of ELF, Mach-O and PE want other words for the same thing."""

from collections.abc import Sequence

from bldr.api import Toolchain


def is_macho(toolchain: Toolchain) -> bool:
    """Whether it makes programs for macOS."""
    return toolchain.attributes.get("format") == "mach-o"


def is_pe(toolchain: Toolchain) -> bool:
    """Whether it makes programs for Windows."""
    return toolchain.attributes.get("format") == "pe"


def is_tinycc(toolchain: Toolchain) -> bool:
    """Whether it is TinyCC, which is the archiver too, has fewer flags, and passes over nearly all that it lacks."""
    return toolchain.attributes.get("compiler") == "tcc"


def hint_for_cxx(toolchain: Toolchain) -> str:
    """What to do where there is no compiler for C++."""
    return "TinyCC, which Windows has here, is for C alone" if is_tinycc(toolchain) else "install g++ or clang"


def archive_mode(toolchain: Toolchain) -> str:
    """With an index, and without time stamps, owners and modes: Apple's archiver is told that by its environment, and
    TinyCC's never writes them."""
    return "rcs" if is_macho(toolchain) or is_tinycc(toolchain) else "rcsD"


def quote_directory(toolchain: Toolchain, path: str) -> tuple[str, ...]:
    """Look there for what is included with quotes; TinyCC knows no such list of its own."""
    return ("-I", path) if is_tinycc(toolchain) else ("-iquote", path)


def without_paths(toolchain: Toolchain, flags: Sequence[str]) -> tuple[str, ...]:
    """Those that write no path of this machine into objects: what TinyCC notes for debuggers holds the tree's."""
    return tuple(flag for flag in flags if not flag.startswith("-g")) if is_tinycc(toolchain) else tuple(flags)


def archiver_reads_parameters(toolchain: Toolchain) -> bool:
    """Whether `@file` stands for the words in it. Of those that do not, macOS takes long lists itself."""
    return not (is_macho(toolchain) or is_tinycc(toolchain))


def arguments_max_bytes(toolchain: Toolchain) -> int:
    """Longer lists go through a parameter file. Windows takes 32766 characters, with all that quoting adds."""
    return 16 * 1024 if is_pe(toolchain) else 32 * 1024


def parameter(toolchain: Toolchain, argument: str) -> str:
    """A word as it is read from a parameter file: gcc, clang and ar want a backslash before white space, quotes and
    backslashes, TinyCC quotes, with one before quotes and backslashes."""
    if not is_tinycc(toolchain):
        return "".join(f"\\{letter}" if letter in " \t\n\r\v\f\\'\"" else letter for letter in argument)
    escaped = "".join(f"\\{letter}" if letter in '\\"' else letter for letter in argument)
    return f'"{escaped}"'


def library_suffix(toolchain: Toolchain) -> str:
    """Of shared libraries."""
    if is_pe(toolchain):
        return "dll"
    return "dylib" if is_macho(toolchain) else "so"


def shared_mode(toolchain: Toolchain, name: str) -> tuple[str, ...]:
    """Make a shared library that programs find by `name` where they are told to look."""
    if is_macho(toolchain):
        return ("-dynamiclib", f"-Wl,-install_name,@rpath/{name}")
    if is_tinycc(toolchain):
        return ("-shared", "-rdynamic")  # whose second word is that it exports all
    return ("-shared", f"-Wl,-soname,{name}")


def stamp(toolchain: Toolchain) -> tuple[str, ...]:
    """An identity of the content: Apple's linker always makes one, TinyCC's never."""
    return () if is_macho(toolchain) or is_tinycc(toolchain) else ("-Wl,--build-id=sha1",)


def shared_arguments(toolchain: Toolchain, paths: Sequence[str]) -> tuple[str, ...]:
    """Only those that are used become needed at run time; the others are there to satisfy the used ones."""
    if not paths:
        return ()
    if is_macho(toolchain):
        return (*paths, "-Wl,-dead_strip_dylibs")
    return ("-Wl,--push-state,--as-needed", *paths, "-Wl,--pop-state")


def rpaths(toolchain: Toolchain, relative: Sequence[str]) -> tuple[str, ...]:
    """Look for libraries in these directories, relative to the program itself."""
    if not relative:
        return ()
    origin = "@loader_path" if is_macho(toolchain) else "$ORIGIN"
    flags = (f"-Wl,-rpath,{origin}" if path == "." else f"-Wl,-rpath,{origin}/{path}" for path in relative)
    return tuple(flags) if is_macho(toolchain) else ("-Wl,--enable-new-dtags", *flags)
