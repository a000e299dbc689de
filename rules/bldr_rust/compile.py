"""One action per crate: sources to a library, a program or a test, by one run of rustc."""

import posixpath
from typing import NamedTuple

from bldr.api import TREE_ROOT, Action, Artifact, CcInfo, Context, first_of_each
from bldr_rust.attributes import AnyRustAttributes
from bldr_rust.crates import crate_name, disambiguator, manifest_directory
from bldr_rust.providers import Deps

_ARGUMENTS_MAX_BYTES = 32 * 1024  # longer lists go through a parameter file
_MACHINE_FLAGS = ("target-cpu=native", "tune-cpu=native")
_MODES = {
    "default": (),
    "debug": ("-Cdebuginfo=2",),
    "release": ("-Copt-level=3",),
}


class Script(NamedTuple):
    """What a build script left for its crate: arguments for rustc, variables to set, and a directory of sources."""

    arguments: Artifact
    environment: Artifact
    directory: Artifact


class Crate(NamedTuple):
    """One crate to compile. `kind` is what rustc calls a crate type; `is_test` adds the harness."""

    name: str
    root: Artifact
    made: Artifact
    kind: str
    sources: tuple[Artifact, ...]
    deps: Deps
    is_test: bool = False
    script: Script | None = None


def compile_crate(crate: Crate, attributes: AnyRustAttributes, context: Context) -> Action:
    """The action that compiles (and, for what is run or loaded, links) a crate.

    There is no depfile: the one that rustc writes does not name the libraries that it read.
    """
    links = crate.kind != "lib" and crate.kind != "staticlib"
    script_arguments = (f"@{crate.script.arguments.path}",) if crate.script else ()
    # A parameter file names no other one, and the tree's root has a name on command lines only.
    head = ("rustc", *_identity(crate, attributes, context), *script_arguments)
    tail = (
        *_settings(attributes, context),
        *_crates(crate.deps),
        *(("--extern", "proc_macro") if crate.kind == "proc-macro" and attributes.edition != "2015" else ()),
        *(_linking(crate, context) if links else ()),
        *attributes.flags,
        crate.root.path,
    )
    argv, files = _shorten((*head, *tail), len(head), crate.made.path)
    native = _native_files(crate.deps.native) if links else ()
    script = tuple(crate.script) if crate.script else ()
    return Action(
        argv=_with_environment(argv, crate.script),
        inputs=first_of_each((crate.sources, crate.deps.crates, native, script)),
        outputs=(crate.made,),
        mnemonic="Rustc",
        message=f"Compiling {crate.made.path}",
        env=_environment(crate, attributes, context),
        files=files,
        toolchains=("rust", *(("cc",) if links else ()), *(("shell",) if crate.script else ())),
    )


def _identity(crate: Crate, attributes: AnyRustAttributes, context: Context) -> tuple[str, ...]:
    """What is made under which name. Nothing of where the tree stands, and no number of processors, reaches it."""
    distinct = f"{disambiguator(context)}{'t' if crate.is_test else ''}"
    return (
        f"--crate-name={crate.name}",
        f"--edition={attributes.edition}",
        *(("--test",) if crate.is_test else (f"--crate-type={crate.kind}",)),
        f"--emit=link={crate.made.path}",
        f"-Cmetadata={distinct}",
        "-Ccodegen-units=16",
        f"--remap-path-prefix={TREE_ROOT}=.",
        "--color=never",
        *(("--cap-lints=allow",) if context.label.repository else ()),
    )


def _settings(attributes: AnyRustAttributes, context: Context) -> tuple[str, ...]:
    configuration = context.configuration
    for flag in (*attributes.flags, *configuration.flags_of("rust")):
        if any(word in flag.replace("_", "-") for word in _MACHINE_FLAGS):  # rustc takes both spellings
            context.fail(
                f'"{flag}" makes the result depend on the machine that builds',
                'name the processor: "-Ctarget-cpu=x86-64-v2"',
                "flags" if flag in attributes.flags else "",
            )
    return (
        *_MODES[configuration.mode],
        *(argument for feature in attributes.features for argument in ("--cfg", f'feature="{feature}"')),
        *(argument for cfg in attributes.cfg for argument in ("--cfg", cfg)),
        *configuration.flags_of("rust"),
    )


def _crates(deps: Deps) -> tuple[str, ...]:
    directories = dict.fromkeys(posixpath.dirname(library.path) or "." for library in deps.crates)
    return (
        *(f"-Ldependency={directory}" for directory in directories),
        *(argument for extern in deps.externs for argument in ("--extern", f"{extern.name}={extern.library.path}")),
    )


def _linking(crate: Crate, context: Context) -> tuple[str, ...]:
    """The C compiler links, and looks for libraries relative to what it makes, as programs of C do."""
    cc = context.toolchain("cc").attributes
    driver = cc["cxx"] if crate.deps.native.needs_cxx_runtime else cc["cc"]
    if not driver:
        context.fail("this machine's toolchain has no compiler for C++", "install g++ or clang", "deps")
    name = posixpath.basename(crate.made.path)
    words = [
        *((f"-Wl,-soname,{name}",) if crate.kind == "cdylib" else ()),
        *_rpaths(crate.made, crate.deps.native),
        *(library.path for library in crate.deps.native.static_libraries),
        *(library.path for library in crate.deps.native.shared_libraries),
        *crate.deps.native.link_flags,
    ]
    return (f"-Clinker={driver}", *(f"-Clink-arg={word}" for word in words))


def _rpaths(made: Artifact, native: CcInfo) -> tuple[str, ...]:
    """Where the program finds its libraries, relative to itself: the tree and `bldr-out` have one shape."""
    here = posixpath.dirname(made.path) or "."
    directories = dict.fromkeys(posixpath.dirname(library.path) or "." for library in native.shared_libraries)
    relative = [posixpath.relpath(directory, here) for directory in directories]
    origins = ["$ORIGIN" if path == "." else f"$ORIGIN/{path}" for path in relative]
    return ("-Wl,--enable-new-dtags", *(f"-Wl,-rpath,{origin}" for origin in origins)) if origins else ()


def _native_files(native: CcInfo) -> tuple[Artifact, ...]:
    return (*native.static_libraries, *native.shared_libraries)


def _environment(crate: Crate, attributes: AnyRustAttributes, context: Context) -> dict[str, str]:
    out = {"OUT_DIR": f"{TREE_ROOT}/{crate.script.directory.path}"} if crate.script else {}
    return {
        "CARGO_MANIFEST_DIR": manifest_directory(attributes, context),
        "CARGO_CRATE_NAME": crate.name,
        **out,
        **attributes.rustc_env,
    }


def _with_environment(argv: tuple[str, ...], script: Script | None) -> tuple[str, ...]:
    """Under a shell that sets what the build script asked for, where there is one."""
    if script is None:
        return argv
    return ("sh", "-euc", '. "$0"; exec "$@"', f"./{script.environment.path}", *argv)


def _shorten(argv: tuple[str, ...], head: int, made_path: str) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Move the arguments after the first `head` to a file of one argument a line when the list is long."""
    if sum(len(argument) + 1 for argument in argv) <= _ARGUMENTS_MAX_BYTES:
        return argv, ()
    path = f"{made_path}.params"
    return (*argv[:head], f"@{path}"), ((path, "".join(f"{argument}\n" for argument in argv[head:])),)


def made_name(kind: str, attributes: AnyRustAttributes, context: Context) -> str:
    """The path of what is made, below the package. rustc finds crates by names that begin with theirs."""
    directory, base = posixpath.split(context.label.name)
    crate = crate_name(attributes, context)
    name = {
        "lib": f"lib{crate}-{disambiguator(context)}.rlib",
        "proc-macro": f"lib{crate}-{disambiguator(context)}.so",
        "cdylib": f"lib{base}.so",
        "staticlib": f"lib{base}.a",
        "bin": base,
    }[kind]
    return posixpath.join(directory, name)
