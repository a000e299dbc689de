"""What targets tell the targets that depend on them: frozen values, looked up by their type.

A handler may define providers of its own; the ones here are those by which languages meet without importing each other.
"""

import msgspec

from bldr.api.actions import Artifact


class Files(msgspec.Struct, frozen=True):
    """The outputs that a person gets for building the target, and what a label among `sources` stands for."""

    files: tuple[Artifact, ...]


class Executable(msgspec.Struct, frozen=True):
    """A program that can be run: its file and what must stand beside it (shared libraries, data).

    `toolchains` are those that must be visible when it runs (an interpreter, the language's shared libraries).
    """

    program: Artifact
    runtime: tuple[Artifact, ...] = ()
    toolchains: tuple[str, ...] = ()


class TestInfo(msgspec.Struct, frozen=True, kw_only=True):
    """How to run a test. `argv[0]` may be a path in the tree (`pkg/test_main`); `inputs` are all files it needs.

    `files` are small texts that the engine writes into the tree beside them (a runner), as those of an `Action`.
    """

    __test__ = False

    argv: tuple[str, ...]
    inputs: tuple[Artifact, ...]
    env: dict[str, str] = {}
    toolchains: tuple[str, ...] = ()
    tools: tuple[Artifact, ...] = ()
    files: tuple[tuple[str, str], ...] = ()


class CcInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a C or C++ user of a library needs, transitive, in link order (dependents before what they depend on).

    `runtime` is the data that a program with this library in it reads when it runs.
    """

    headers: tuple[Artifact, ...] = ()
    include_dirs: tuple[str, ...] = ()
    defines: tuple[str, ...] = ()
    static_libraries: tuple[Artifact, ...] = ()
    shared_libraries: tuple[Artifact, ...] = ()
    link_flags: tuple[str, ...] = ()
    needs_cxx_runtime: bool = False
    runtime: tuple[Artifact, ...] = ()


class PythonInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a Python program that imports a library needs, transitive.

    `sources` are modules and packages, `import_roots` the directories of the tree that belong on `sys.path`. `runtime`
    is what the modules open or load when they run: data, shared libraries.
    """

    sources: tuple[Artifact, ...] = ()
    import_roots: tuple[str, ...] = ()
    runtime: tuple[Artifact, ...] = ()
