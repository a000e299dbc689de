"""From an archive to its one action."""

import json
import os
import posixpath
import re

from bldr.api import Action, Analysis, Artifact, Context, Executable, Files, TargetAttributes
from bldr_archive.attributes import ArchiveAttributes

_MODE = re.compile(r"0?[0-7]{3}")
_ZIP_BEGINS = 315532800  # 1980: what a zip file can say
_ENDS = 1 << 32


# As text: what it imports (tarfile, zipfile) no build needs.
with open(os.path.join(os.path.dirname(__file__), "write_archive.py"), encoding="utf-8") as file:
    _SCRIPT = file.read()


def analyze(attributes: TargetAttributes, context: Context) -> Analysis:
    assert isinstance(attributes, ArchiveAttributes)
    _check(attributes, context)
    files = dict.fromkeys((*context.files("sources"), *context.files("data"), *_files_of_deps(context)))
    if not files:
        context.fail("there is nothing to put into the archive", "name sources", "sources")
    made = context.declare_file(attributes.out or f"{context.label.name}.{attributes.format}")
    directory = posixpath.join(context.label.directory, f"{context.label.name}.archive")
    script, spec_path = f"{directory}/write_archive.py", f"{directory}/archive.json"
    spec = {
        "format": attributes.format,
        "entries": _entries(tuple(files), attributes, context),
        "modes": attributes.modes,
        "mtime": attributes.mtime,
    }
    action = Action(
        argv=("python3", "-s", "-S", script, made.path, spec_path),
        inputs=tuple(files),
        outputs=(made,),
        mnemonic="Pack",
        message=f"Packing {made.path}",
        files=((script, _SCRIPT), (spec_path, json.dumps(spec, indent=1))),
        toolchains=("python",),
    )
    return Analysis((action,), (Files((made,)),))


def _check(attributes: ArchiveAttributes, context: Context) -> None:
    for attribute in ("prefix", "strip_prefix"):
        path = getattr(attributes, attribute)
        if path and (path.startswith("/") or any(part in ("", ".", "..") for part in path.rstrip("/").split("/"))):
            context.fail(f'"{path}" is no path below the archive', "write it without . and ..", attribute)
    for pattern, mode in attributes.modes.items():
        if not _MODE.fullmatch(mode):
            context.fail(f'the mode of "{pattern}" is "{mode}"', 'write three octal digits: "0755"', "modes")
    earliest = _ZIP_BEGINS if attributes.format == "zip" else 0
    if not earliest <= attributes.mtime < _ENDS:
        hint = "a zip file knows no time before 1980" if earliest else "it counts seconds since 1970"
        context.fail(f"mtime is {attributes.mtime}", hint, "mtime")


def _files_of_deps(context: Context) -> list[Artifact]:
    """What a person gets for building the deps: files, and programs with what must stand beside them."""
    found: list[Artifact] = []
    for dep in context.deps():
        files, executable = dep.get(Files), dep.get(Executable)
        if files is None and executable is None:
            context.fail(f"{dep.label} provides no files", attribute="deps")
        found += files.files if files else ()
        found += (executable.program, *executable.runtime) if executable else ()
    return found


def _entries(files: tuple[Artifact, ...], attributes: ArchiveAttributes, context: Context) -> list[tuple[str, str]]:
    """Pairs of a name in the archive and a path of the tree. A directory's name stands before all that is in it."""
    prefix = f"{attributes.prefix.rstrip('/')}/" if attributes.prefix else ""
    names: dict[str, str] = {}
    for file in files:
        inner = _name(file.path, attributes, context)
        if not inner and not file.is_directory:
            hint = "strip the directory that it is in"
            context.fail(f'it takes the whole name of "{file.path}" away', hint, "strip_prefix")
        name = (prefix + inner).rstrip("/")
        if name in names:
            context.fail(f'"{names[name]}" and "{file.path}" would both be "{name}"', attribute="sources")
        names[name] = file.path
    return sorted(names.items())


def _name(path: str, attributes: ArchiveAttributes, context: Context) -> str:
    package = context.label.directory
    if attributes.strip_prefix:
        top = posixpath.join(package, attributes.strip_prefix.rstrip("/"))
        if path != top and not path.startswith(f"{top}/"):
            hint = "strip a directory that holds all files, or make two archives"
            context.fail(f'"{path}" is not below "{top}"', hint, "strip_prefix")
        return path[len(top) + 1 :]
    return path.removeprefix(f"{package}/") if package else path
