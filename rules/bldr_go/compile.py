"""Actions: the standard library, one package, the packages of a test, and the link of a program."""

import json
import posixpath
from collections.abc import Iterable
from typing import NamedTuple

from bldr.api import Action, Artifact, Context, first_of_each
from bldr_go.attributes import AnyGoAttributes, GoStdAttributes
from bldr_go.providers import GoStdInfo
from bldr_go.tool import SOURCE

_STANDARD_LIBRARY = """
export GOCACHE="$TMPDIR/go-cache" GOPATH="$TMPDIR/go" GOENV=off GOFLAGS= GOTOOLCHAIN=local GO111MODULE=off CGO_ENABLED=0
export GOMAXPROCS=4 # processes are limited, and a process of Go has as many threads as the machine has processors
out=$1 tool=$2 source=$3
shift 3
go build -p=4 -trimpath -ldflags=-buildid= -o "$tool" "$source"
mkdir -p "$out"
template='{{if .Export}}{{.ImportPath}} {{.Export}}{{end}}'
go list -p=4 -trimpath -export -deps -f "$template" "$@" >"$TMPDIR/exported"
while read -r package file; do
    mkdir -p "$out/$(dirname "$package")"
    cp "$file" "$out/$package.a"
done <"$TMPDIR/exported"
"""


class Package(NamedTuple):
    """What is compiled together: one package, or the packages of a test."""

    import_path: str
    directory: str
    sources: tuple[Artifact, ...]
    embed: tuple[Artifact, ...]
    imports: tuple[tuple[str, Artifact], ...]


def compile_standard_library(attributes: GoStdAttributes, context: Context) -> tuple[Action, GoStdInfo]:
    """Compile it with the go command, and with it the program that compiles packages."""
    name = context.label.name
    info = GoStdInfo(context.declare_directory(name), context.declare_file(f"{name}.tool"))
    source = f"{info.tool.path}.go"
    action = Action(
        argv=("sh", "-euc", _STANDARD_LIBRARY, "sh", info.directory.path, info.tool.path, source, *attributes.packages),
        inputs=(),
        outputs=(info.directory, info.tool),
        mnemonic="GoStdlib",
        message="Compiling the standard library of Go",
        files=((source, SOURCE.lstrip("\n")),),
        toolchains=("shell", "go"),
    )
    return action, info


def compile_package(
    package: Package, made: tuple[Artifact, Artifact], std: GoStdInfo, attributes: AnyGoAttributes, context: Context
) -> Action:
    """One package. `made` are what dependents are compiled with, and what programs are linked of: a change inside a
    function reaches only the latter."""
    export, made_object = made
    job = {**_job("compile", package, std, attributes, context), "Export": export.path, "Object": made_object.path}
    message = f"Compiling {package.directory or '.'}"
    return _run("GoCompile", job, message, std, made, package)


def compile_test(
    package: Package, made: Artifact, std: GoStdInfo, attributes: AnyGoAttributes, context: Context
) -> Action:
    """The packages of a test into a directory, with a main that is written from the names of its functions."""
    job = {**_job("test", package, std, attributes, context), "Output": made.path}
    return _run("GoTestCompile", job, f"Compiling the tests of {context.label}", std, (made,), package)


def link(
    main: Artifact,
    main_path: str,
    objects: Iterable[tuple[str, Artifact]],
    std: GoStdInfo,
    attributes: AnyGoAttributes,
    context: Context,
) -> Action:
    """A program, static: no C is in it."""
    made = context.declare_file(context.label.name)
    objects = tuple(objects)
    job: dict[str, object] = {
        "Mode": "link",
        "Std": std.directory.path,
        "Packages": {path: item.path for path, item in objects},
        "Object": main_path,
        "Output": made.path,
        "Flags": attributes.link_flags,
    }
    inputs = Package("", "", (main,), (), objects)
    return _run("GoLink", job, f"Linking {made.path}", std, (made,), inputs)


def _job(
    mode: str, package: Package, std: GoStdInfo, attributes: AnyGoAttributes, context: Context
) -> dict[str, object]:
    debug = ("-N", "-l") if context.configuration.mode == "debug" else ()
    language = (f"-lang=go{attributes.go_version.removeprefix('go')}",) if attributes.go_version else ()
    return {
        "Mode": mode,
        "ImportPath": package.import_path,
        "Directory": package.directory,
        "Std": std.directory.path,
        "Packages": {path: item.path for path, item in package.imports},
        "Tags": attributes.build_tags,
        "Flags": (*debug, *language, *context.configuration.flags_of("go"), *attributes.flags),
    }


def _run(
    mnemonic: str,
    job: dict[str, object],
    message: str,
    std: GoStdInfo,
    outputs: tuple[Artifact, ...],
    package: Package,
) -> Action:
    path = f"{outputs[0].path}.{mnemonic}.json"
    packages = tuple(item for _, item in package.imports)
    return Action(
        argv=(posixpath.join(".", std.tool.path), path),
        inputs=first_of_each(((std.tool, std.directory), package.sources, package.embed, packages)),
        outputs=outputs,
        mnemonic=mnemonic,
        message=message,
        env={"GOMAXPROCS": "4"},
        files=((path, json.dumps(job, sort_keys=True)),),
        toolchains=("go",),
    )
