"""Where the linkers and archivers of ELF and Mach-O want other words for the same thing."""

from collections.abc import Sequence

from bldr.api import Toolchain


def is_macho(toolchain: Toolchain) -> bool:
    """Whether it makes programs for macOS."""
    return toolchain.attributes.get("format") == "mach-o"


def archive_mode(toolchain: Toolchain) -> str:
    """With an index, and without time stamps, owners and modes: Apple's archiver is told that by its environment."""
    return "rcs" if is_macho(toolchain) else "rcsD"


def library_suffix(toolchain: Toolchain) -> str:
    """Of shared libraries."""
    return "dylib" if is_macho(toolchain) else "so"


def shared_mode(toolchain: Toolchain, name: str) -> tuple[str, ...]:
    """Make a shared library that programs find by `name` where they are told to look."""
    if is_macho(toolchain):
        return ("-dynamiclib", f"-Wl,-install_name,@rpath/{name}")
    return ("-shared", f"-Wl,-soname,{name}")


def stamp(toolchain: Toolchain) -> tuple[str, ...]:
    """An identity of the content: Apple's linker always makes one."""
    return () if is_macho(toolchain) else ("-Wl,--build-id=sha1",)


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
