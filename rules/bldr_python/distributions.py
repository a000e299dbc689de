"""Unpacked wheels as targets: a library for each distribution, a program for each of its console scripts. Pure.

Sources: https://packaging.python.org/en/latest/specifications/ (binary distributions, core metadata, entry points)
"""

import configparser
import re
from collections.abc import Iterable, Iterator, Mapping
from email.parser import BytesParser
from typing import Any, NamedTuple, cast

from packaging.markers import Environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from bldr.api import LockedTree, LockError

_SOURCES = (".py", ".pyi")
_INSTALLED_ROOTS = ("purelib", "platlib")
_PATTERN = re.compile(r"([*?\[])")


class Distribution(NamedTuple):
    """What is known of an unpacked wheel. `files` are relative to its directory, `info` is its `.dist-info`.

    `scripts` are pairs of name and entry point, `programs` the files that are to be run and are not Python's.
    """

    name: str
    files: tuple[str, ...]
    info: str
    requirements: tuple[Requirement, ...]
    scripts: tuple[tuple[str, str], ...]
    programs: tuple[str, ...]
    requires_python: str


def describe(names: Iterable[str], tree: LockedTree, environment: Environment) -> dict[str, Any]:
    """The tables of all targets. `names` are the directories of the tree, which are normalised names."""
    read = {name: _read(name, tree) for name in names}
    deps = _dependencies(read, environment)
    tables: dict[str, Any] = {}
    for name, distribution in read.items():
        tables[name] = _library(distribution, deps[name])
        for script, entry_point in distribution.scripts:
            tables[f"bin/{script}"] = {
                "type": "executable",
                "language": "python",
                "description": f"the program {script} of {name}",
                "entry_point": entry_point,
                "deps": [f":{name}"],
                "visibility": "public",
            }
        for program in distribution.programs:
            tables[f"bin/{program.rpartition('/')[2]}"] = _program(program, distribution)
    return tables


def _program(path: str, distribution: Distribution) -> dict[str, Any]:
    """A program that is none of Python, beside the data that an installer would put near it."""
    name, program = distribution.name, path.rpartition("/")[2]
    beside = f"{path.partition('/')[0]}/data/"
    return {
        "type": "command",
        "description": f"the program {program} of {name}",
        "sources": [f"{name}/{_escaped(path)}"],
        "data": [f"{name}/{_escaped(file)}" for file in distribution.files if file.startswith(beside)],
        "outputs": [f"bin/{program}"],
        "command": 'cp "$SRCS" "$OUT"; chmod 755 "$OUT"',
        "executable": True,
        "toolchains": ["python"],  # with the libraries that wheels may load
        "visibility": "public",
    }


def _library(distribution: Distribution, deps: Iterable[str]) -> dict[str, Any]:
    name = distribution.name
    data = [file for file in distribution.files if not file.endswith(_SOURCES)]
    sources = [file for file in distribution.files if file.endswith(_SOURCES)]
    roots = {f"{name}/{part}" for file in distribution.files if (part := _installed_root(file))}
    table = {
        "type": "library",
        "language": "python",
        "imports": [name, *sorted(roots)],
        "sources": [f"{name}/{_escaped(file)}" for file in sources],
        "data": [f"{name}/{_escaped(file)}" for file in data],
        "deps": [f":{dep}" for dep in sorted(deps)],
        "check": False,  # distributions carry templates, and modules for other versions
        "visibility": "public",
    }
    return {**table, "requires": distribution.requires_python} if distribution.requires_python else table


def _installed_root(file: str) -> str:
    """`x.data/purelib` for what an installer would move to the top; "" for all else."""
    parts = file.split("/")
    return "/".join(parts[:2]) if len(parts) > 2 and parts[0].endswith(".data") and parts[1] in _INSTALLED_ROOTS else ""


def _read(name: str, tree: LockedTree) -> Distribution:
    files = tuple(_walk(tree, name, ""))
    infos = sorted({file.partition("/")[0] for file in files if file.partition("/")[0].endswith(".dist-info")})
    if len(infos) != 1 or f"{infos[0]}/METADATA" not in files:
        raise LockError(f"{name}: what was locked is no wheel: it has not one directory *.dist-info with METADATA")
    info = infos[0]
    metadata = BytesParser().parsebytes(tree.read(f"{name}/{info}/METADATA"), headersonly=True)
    try:
        requirements = tuple(Requirement(str(text)) for text in metadata.get_all("Requires-Dist", []))
    except InvalidRequirement as error:
        raise LockError(f"{name}: its metadata is wrong: {error}") from error
    scripts = f"{info}/entry_points.txt"
    return Distribution(
        name=name,
        files=files,
        info=info,
        requirements=requirements,
        scripts=_scripts(tree.read(f"{name}/{scripts}").decode()) if scripts in files else (),
        programs=tuple(file for file in files if _is_program(file) and _is_native(tree.read(f"{name}/{file}"))),
        requires_python=_requires(tree.read(f"{name}/{info}/WHEEL")) if f"{info}/WHEEL" in files else "",
    )


def _walk(tree: LockedTree, name: str, below: str) -> Iterator[str]:
    for entry in tree.names(f"{name}/{below}".rstrip("/")):
        if entry.endswith("/"):
            yield from _walk(tree, name, f"{below}{entry}")
        else:
            yield f"{below}{entry}"


def _scripts(text: str) -> tuple[tuple[str, str], ...]:
    """Console scripts as pairs of name and "module:function"; extras that one asks for are those of the lock file."""
    parser = configparser.RawConfigParser(delimiters=("=",))
    parser.optionxform = str  # type: ignore[method-assign, assignment]  # names of programs are not made lower case
    try:
        parser.read_string(text)
    except configparser.Error:
        return ()
    items = parser.items("console_scripts") if parser.has_section("console_scripts") else []
    found = ((name, value.partition("[")[0].strip()) for name, value in items)
    return tuple((name, value) for name, value in found if re.fullmatch(r"[\w.]+:[\w.]+", value) and _is_name(name))


def _is_program(file: str) -> bool:
    parts = file.split("/")
    return len(parts) == 3 and parts[0].endswith(".data") and parts[1] == "scripts" and _is_name(parts[2])


def _is_native(content: bytes) -> bool:
    """Whether the system runs it as it is: an installer would write another first line into a script of Python."""
    return not content.startswith(b"#!python")


def _is_name(name: str) -> bool:
    return re.fullmatch(r"[\w.+=@~-]+", name, re.ASCII) is not None and name not in (".", "..")


def _requires(wheel: bytes) -> str:
    """The Python that the wheel's native modules are made for ("3.11"); "" where every one will do."""
    for tag in BytesParser().parsebytes(wheel, headersonly=True).get_all("Tag", []):
        interpreter, abi, _ = (*str(tag).split("-"), "", "")[:3]
        match = re.fullmatch(r"cp(\d)(\d+)", interpreter)
        if match and abi not in ("none", "abi3"):
            return f"{match[1]}.{match[2]}"
    return ""


def _dependencies(read: Mapping[str, Distribution], environment: Environment) -> dict[str, set[str]]:
    """Who needs whom. An extra counts where a distribution of the lock file asks for it."""
    extras: dict[str, set[str]] = {name: {""} for name in read}
    deps: dict[str, set[str]] = {name: set() for name in read}
    changed = True
    while changed:
        changed = False
        for name, distribution in read.items():
            for requirement in distribution.requirements:
                if not _applies(requirement, environment, extras[name]):
                    continue
                wanted = canonicalize_name(requirement.name)
                if wanted not in read:
                    hint = "lock anew, with all that is needed on this platform and Python"
                    raise LockError(f"{name} needs {requirement}, which the lock file does not have", hint)
                before = len(extras[wanted]) + len(deps[name])
                extras[wanted].update(requirement.extras)
                if wanted != name:
                    deps[name].add(wanted)
                changed = changed or len(extras[wanted]) + len(deps[name]) != before
    return deps


def _applies(requirement: Requirement, environment: Environment, extras: Iterable[str]) -> bool:
    if requirement.marker is None:
        return True
    values = cast(dict[str, str], environment)
    return any(requirement.marker.evaluate({**values, "extra": extra}) for extra in extras)


def _escaped(name: str) -> str:
    """As file lists take a name literally."""
    return _PATTERN.sub(r"[\1]", name)
