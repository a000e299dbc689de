"""Detects the toolchain "python"."""

import os
from collections.abc import Iterable, Mapping

from bldr.api import Toolchain, ToolchainError
from bldr.api.content import content_of
from bldr.api.elf import HostFiles, runtime_files, standing
from bldr_python.interpreter import Interpreter, directories, find_interpreter
from bldr_python.toolchain import PythonDetector

_SITE = frozenset({"site-packages", "dist-packages"})
_NOT_TAKEN = frozenset({"__pycache__", "test", "tests", "idlelib", "turtledemo", "tkinter", "ensurepip", "lib2to3"})
_NOT_TAKEN_FILES = frozenset({"sitecustomize.py", "usercustomize.py", "turtle.py", "EXTERNALLY-MANAGED"})
_NOT_TAKEN_SUFFIXES = (".pyc", ".pyo", ".a", ".o", ".exe", ".bat")
_SETTINGS = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"}
"""Every order that Python leaves open is the same in all runs, and no run writes beside what it reads."""

_LOADED_BY_WHEELS = (
    "libstdc++.so.6", "libgcc_s.so.1", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "libutil.so.1",
    "libresolv.so.2", "libnsl.so.1",
)  # fmt: skip
"""What every wheel for Linux may load besides the C library (PEP 600); the rest of its libraries it brings along."""


def detect(env: Mapping[str, str]) -> Toolchain:
    found = find_interpreter(env)
    if os.path.splitdrive(found.executable)[0]:
        return _on_a_drive(found, env)
    library, walked = _library(found.libraries)
    extensions = [path for path in library if path.endswith(".so")]
    loaded = _loaded(found, extensions)
    missing = set(extensions).difference(loaded.files)
    named = standing([*(path for path in library if path not in missing)])
    files = tuple(sorted({*loaded.files, *named.files}))
    links = tuple(sorted({*loaded.links, *named.links}))
    major, minor, _ = found.version
    executables = dict.fromkeys(("python", "python3", f"python{major}.{minor}"), found.executable)
    return Toolchain(
        name=PythonDetector.name,
        executables=executables,
        files=files,
        links=links,
        env=_SETTINGS,
        attributes=_attributes(found),
        identity=content_of(files, (*links, *executables.items())).identity,
        sentinels=tuple(dict.fromkeys((*files, *walked, found.found, *found.asked, *directories(env)))),
    )


def _on_a_drive(found: Interpreter, env: Mapping[str, str]) -> Toolchain:
    """On Windows, where it stays where it is: what lies beside the program, and the standard library."""
    home = os.path.dirname(found.executable)
    beside = [entry.path for entry in os.scandir(home) if entry.is_file() and entry.name not in _NOT_TAKEN_FILES]
    library, walked = _library((*found.libraries, *_there(home, "DLLs")))
    files = tuple(sorted({*beside, *library}))
    return Toolchain(
        name=PythonDetector.name,
        executables=dict.fromkeys(("python", "python3"), found.executable),
        files=files,
        env=_SETTINGS,
        attributes=_attributes(found),
        identity=content_of(files).identity,
        sentinels=tuple(dict.fromkeys((*files, *walked, home, found.found, *directories(env)))),
    )


def _there(home: str, name: str) -> list[str]:
    path = os.path.join(home, name)
    return [path] if os.path.isdir(path) else []


def _attributes(found: Interpreter) -> dict[str, str]:
    return {
        "version": ".".join(str(part) for part in found.version),
        "implementation": found.implementation,
        "tag": found.tag,
        "extension_suffix": found.suffix,
    }


def _library(roots: Iterable[str]) -> tuple[list[str], list[str]]:
    """The files of the standard library that are taken, and all directories that were looked into."""
    files: list[str] = []
    walked: list[str] = []
    pending = list(roots)
    while pending:
        directory = pending.pop()
        walked.append(directory)
        with os.scandir(directory) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir():
                    if _is_taken_directory(entry.name):
                        pending.append(entry.path)
                elif entry.is_file() and _is_taken_file(entry.name):
                    files.append(entry.path)
    return files, walked


def _is_taken_directory(name: str) -> bool:
    return name not in _NOT_TAKEN and name not in _SITE and not name.startswith("config-")


def _is_taken_file(name: str) -> bool:
    return name not in _NOT_TAKEN_FILES and not name.endswith(_NOT_TAKEN_SUFFIXES) and not name.startswith("_tkinter.")


def _loaded(found: Interpreter, extensions: list[str]) -> HostFiles:
    """The interpreter, its extension modules and what they load; a module that lacks a library is left out."""
    programs = [found.executable, *(path for path in ("/usr/bin/env",) if os.path.isfile(path))]
    core = runtime_files(programs)
    directories = dict.fromkeys(os.path.dirname(path) for path in core.files)
    beside = [f"{directory}/{name}" for directory in directories for name in _LOADED_BY_WHEELS]
    programs += [path for path in beside if os.path.isfile(path)]
    try:
        return runtime_files((*programs, *extensions))
    except ToolchainError:
        return runtime_files((*programs, *(path for path in extensions if _can_load(path))))


def _can_load(path: str) -> bool:
    try:
        runtime_files([path])
    except ToolchainError:
        return False
    return True
