"""What reaches a package of Go from its deps, and how it is handed on."""

from typing import NamedTuple

import msgspec

from bldr.api import Artifact, Context, first_of_each


class GoStdInfo(msgspec.Struct, frozen=True):
    """The compiled standard library, and the program that compiles packages."""

    directory: Artifact
    tool: Artifact


class GoInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A package that others may import.

    `export` is all that they are compiled with; `objects` are pairs of import path and file, of the package and all
    below it, for programs. `sources`, `embed` and `imports` (of the package alone) are for tests that are part of it.
    """

    import_path: str
    export: Artifact
    objects: tuple[tuple[str, Artifact], ...]
    sources: tuple[Artifact, ...]
    embed: tuple[Artifact, ...]
    imports: tuple[tuple[str, Artifact], ...]
    runtime: tuple[Artifact, ...] = ()


class Deps(NamedTuple):
    """All that the deps of a package offer: what it imports, what programs link, what they read when they run."""

    imports: tuple[tuple[str, Artifact], ...]
    objects: tuple[tuple[str, Artifact], ...]
    runtime: tuple[Artifact, ...]


def deps_of(context: Context) -> Deps:
    """Sort out the deps; two packages of one import path cannot be in one program."""
    infos = []
    for dep in context.deps():
        info = dep.get(GoInfo)
        if info is None:
            context.fail(
                f"{dep.label} is no package of Go",
                "made sources are sources, and what the program needs when it runs is data",
                "deps",
            )
        infos.append(info)
    objects = first_of_each(info.objects for info in infos)
    seen: dict[str, Artifact] = {}
    for import_path, made in objects:
        if seen.setdefault(import_path, made) != made:
            context.fail(
                f'"{import_path}" comes from two targets: {seen[import_path].owner} and {made.owner}',
                "give one of them another import_path, or use one for both",
                "deps",
            )
    return Deps(
        tuple((info.import_path, info.export) for info in infos),
        objects,
        first_of_each(info.runtime for info in infos),
    )


def library_under_test(context: Context) -> GoInfo | None:
    """What the attribute `library` of a test names."""
    deps = context.deps("library")
    if not deps:
        return None
    info = deps[0].get(GoInfo)
    if info is None or len(deps) > 1:
        context.fail("a test is of one library of Go", attribute="library")
    return info


def standard_library(context: Context) -> GoStdInfo:
    """What the attribute `std` names."""
    found = [info for dep in context.deps("std") if (info := dep.get(GoStdInfo)) is not None]
    if len(found) != 1:
        context.fail(
            "the standard library is not said",
            'name a target of type "stdlib" and language "go", or call it "go-std" in the root of the workspace',
            "std",
        )
    return found[0]
