"""TinyCC, which is the compiler that is known on Windows: one directory with the program, its headers and libraries."""

import os
import subprocess
from collections.abc import Mapping

from bldr.api import Toolchain, ToolchainError
from bldr.api.content import content_of
from bldr.api.programs import directories_of, program_in

_TIMEOUT_S = 30
_NEEDED = ("SYSTEMROOT",)  # without it nothing starts on Windows
_LIBRARY = "libtcc.dll"
_PARTS = ("include", "lib")
_HINT = "put the directory of tcc.exe on the PATH, or name it by the variable CC; gcc and clang are not known there yet"


def find_tinycc(name: str, env: Mapping[str, str]) -> Toolchain:
    """The TinyCC that CC names, else that of PATH: identified by all that it consists of. Raises ToolchainError.

    It links programs to Windows' own libraries, which are the machine's as its kernel is.
    """
    program = os.path.realpath(_chosen(env))
    home = os.path.dirname(program)
    roots = tuple(os.path.join(home, part) for part in _PARTS)
    for root in roots:
        if not os.path.isdir(root):
            raise ToolchainError(f'"{program}" is no whole TinyCC: there is no "{root}"', _HINT)
    library = os.path.join(home, _LIBRARY)
    files = (program, *filter(os.path.isfile, (library,)))
    content = content_of(files, (), roots)
    return Toolchain(
        name=name,
        executables={"tcc": program},
        files=files,
        roots=roots,
        attributes={
            "compiler": "tcc",
            "version": _version(program, env),
            "cc": "tcc",
            "cxx": "",
            "honours_source_date_epoch": "no",
            "format": "pe",
        },
        identity=content.identity,
        sentinels=(*files, *content.directories, home, *_directories(env)),
    )


def _chosen(env: Mapping[str, str]) -> str:
    wanted = env.get("CC", "") or "tcc"
    directory, name = os.path.split(wanted)
    if directory and not os.path.isabs(directory):
        raise ToolchainError(f'CC names "{wanted}", which is no program', _HINT)
    for place in (directory,) if directory else _directories(env):
        path = program_in(place, name)
        if path and os.path.splitext(name)[0].lower().endswith("tcc"):
            return path
    raise ToolchainError(
        f'CC names "{wanted}", which is no TinyCC' if env.get("CC") else "no C compiler is on the PATH", _HINT
    )


def _directories(env: Mapping[str, str]) -> tuple[str, ...]:
    return directories_of(env.get("PATH", ""))


def _version(program: str, env: Mapping[str, str]) -> str:
    """What it says of itself; that it says something shows that it runs."""
    try:
        done = subprocess.run(
            [program, "-dumpversion"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={name: env[name] for name in _NEEDED if name in env},
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainError(f'"{program}" cannot be run: {error}', _HINT) from error
    version = done.stdout.decode(errors="replace").strip()
    if done.returncode or not version:
        raise ToolchainError(f'"{program} -dumpversion" failed: exit code {done.returncode}', _HINT)
    return version
