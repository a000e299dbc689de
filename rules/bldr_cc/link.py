"""Objects to archives, shared libraries and programs."""

import posixpath

from bldr.api import Action, Artifact, CcInfo, Context, Toolchain, first_of_each, last_of_each
from bldr_cc import formats
from bldr_cc.attributes import AnyCcAttributes
from bldr_cc.compile import configured_flags

_PAIRS = ("-Xlinker", "-framework", "-u", "-z", "-T", "-L", "-l", "-h", "-e")


def check_link_flags(attributes: AnyCcAttributes, context: Context) -> None:
    """Every flag must stand alone, because flags that come by two ways are taken once."""
    for flag in attributes.link_flags:
        if not flag.startswith("-") or flag in _PAIRS:
            context.fail(
                f'the link flag "{flag}" does not stand alone',
                'write it as one word: "-Wl,-z,now", "-lm", "-Lpath"',
                "link_flags",
            )


def archive(objects: tuple[Artifact, ...], attributes: AnyCcAttributes, context: Context) -> Action:
    """A static library: no time stamps, owners or modes (D), with an index (s)."""
    made = context.declare_file(_library_name(context, "a"))
    toolchain = context.toolchain("cc")
    head = (*_archiver(attributes, toolchain, context), formats.archive_mode(toolchain), made.path)
    argv: tuple[str, ...] = (*head, *(item.path for item in objects))
    files: tuple[tuple[str, str], ...] = ()
    if formats.archiver_reads_parameters(toolchain):
        argv, files = _shorten(argv, len(head), made.path, toolchain)
    return Action(
        argv=argv,
        inputs=objects,
        outputs=(made,),
        mnemonic="Archive",
        message=f"Archiving {made.path}",
        env=attributes.env,
        files=files,
        toolchains=("cc",),
    )


def _archiver(attributes: AnyCcAttributes, toolchain: Toolchain, context: Context) -> tuple[str, ...]:
    """The index of objects that hold no machine code yet is written by the compiler's own archiver."""
    if formats.is_tinycc(toolchain):
        return ("tcc", "-ar")
    configured = (*configured_flags(context, cxx=False), *configured_flags(context, cxx=True))
    if any(flag.startswith("-flto") for flag in (*attributes.flags, *configured)):
        own = "gcc-ar" if toolchain.attributes["compiler"] == "gcc" else "llvm-ar"
        if own in toolchain.executables:
            return (own,)
    return ("ar",)


def link_shared(
    objects: tuple[Artifact, ...], deps: CcInfo, attributes: AnyCcAttributes, context: Context, *, cxx: bool
) -> Action:
    """A shared library, which takes in what it needs of the static libraries."""
    toolchain = context.toolchain("cc")
    made = context.declare_file(_library_name(context, formats.library_suffix(toolchain)))
    mode = formats.shared_mode(toolchain, posixpath.basename(made.path))
    return _link(made, mode, objects, deps, attributes, context, cxx=cxx)


def link_program(
    objects: tuple[Artifact, ...], deps: CcInfo, attributes: AnyCcAttributes, context: Context, *, cxx: bool
) -> Action:
    """An executable."""
    made = context.declare_file(context.label.name + context.platform.executable_suffix)
    return _link(made, (), objects, deps, attributes, context, cxx=cxx)


def _link(
    made: Artifact,
    mode: tuple[str, ...],
    objects: tuple[Artifact, ...],
    deps: CcInfo,
    attributes: AnyCcAttributes,
    context: Context,
    *,
    cxx: bool,
) -> Action:
    """Objects, then static libraries (dependents first), then shared ones, then flags such as -lm."""
    toolchain = context.toolchain("cc")
    driver = _driver(toolchain, context, cxx=cxx)
    if deps.shared_libraries and formats.is_pe(toolchain):
        context.fail(
            f'on Windows a program would not find "{deps.shared_libraries[0].path}", which is not beside it',
            'depend on the library with linkage = "static"',
            "deps",
        )
    seed = (f"-frandom-seed={made.path}",) if toolchain.attributes["compiler"] == "gcc" else ()  # for -flto
    # Sanitizers and the like need the linker, too.
    configured = formats.without_paths(toolchain, configured_flags(context, cxx=cxx))
    rpaths = formats.rpaths(toolchain, _library_directories(made, deps))
    head = (driver, *mode, *configured, *seed, *formats.stamp(toolchain), *rpaths, "-o", made.path)
    tail = (
        *(item.path for item in objects),
        *(item.path for item in deps.static_libraries),
        *formats.shared_arguments(toolchain, [library.path for library in deps.shared_libraries]),
        *last_of_each((attributes.link_flags, deps.link_flags)),
    )
    argv, files = _shorten((*head, *tail), len(head), made.path, toolchain)
    return Action(
        argv=argv,
        inputs=first_of_each((objects, deps.static_libraries, deps.shared_libraries)),
        outputs=(made,),
        mnemonic="Link",
        message=f"Linking {made.path}",
        env=attributes.env,
        files=files,
        toolchains=("cc",),
    )


def _driver(toolchain: Toolchain, context: Context, *, cxx: bool) -> str:
    driver = toolchain.attributes["cxx" if cxx else "cc"]
    if not driver:
        context.fail("this machine's toolchain has no compiler for C++", formats.hint_for_cxx(toolchain))
    return driver


def _library_directories(made: Artifact, deps: CcInfo) -> list[str]:
    """Where the program finds its libraries, relative to itself: the tree and `bldr-out` have one shape."""
    here = posixpath.dirname(made.path) or "."
    directories = dict.fromkeys(posixpath.dirname(library.path) or "." for library in deps.shared_libraries)
    return [posixpath.relpath(directory, here) for directory in directories]


def _library_name(context: Context, extension: str) -> str:
    directory, name = posixpath.split(context.label.name)
    return posixpath.join(directory, f"lib{name}.{extension}")


def _shorten(
    argv: tuple[str, ...], head: int, made_path: str, toolchain: Toolchain
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Move the arguments after the first `head` to a parameter file when the list is long."""
    if sum(len(argument) + 1 for argument in argv) <= formats.arguments_max_bytes(toolchain):
        return argv, ()
    path = f"{made_path}.params"
    content = "".join(f"{formats.parameter(toolchain, argument)}\n" for argument in argv[head:])
    return (*argv[:head], f"@{path}"), ((path, content),)
