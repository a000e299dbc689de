"""Finds the interpreter that PATH means: behind shims and virtual environments, the one that is installed."""

import json
import os
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

from bldr.api import ToolchainError
from bldr.api.programs import directories_of, program_in
from bldr_python.toolchain import PythonDetector

OLDEST = (3, 8)
_NEEDED = ("SYSTEMROOT",)  # without it nothing starts on Windows
_NAMES = ("python3", "python")
_PROBE_TIMEOUT_S = 60
_SHOWN_CHARACTERS = 200
_PROBE = """
import json, sys, sysconfig
print(json.dumps({
    "executable": getattr(sys, "_base_executable", "") or sys.executable,
    "version": list(sys.version_info[:3]),
    "implementation": sys.implementation.name,
    "tag": sys.implementation.cache_tag,
    "suffix": sysconfig.get_config_var("EXT_SUFFIX") or "",
    "libraries": [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")],
    "prefixes": [sys.base_prefix, sys.base_exec_prefix],
}))
"""


class Interpreter(NamedTuple):
    """One installed Python. `executable` is resolved, `libraries` are the directories of its standard library.

    `found` is where PATH led (a shim, a link of a virtual environment), `asked` the files that decided besides.
    """

    executable: str
    version: tuple[int, int, int]
    implementation: str
    tag: str
    suffix: str
    libraries: tuple[str, ...]
    found: str
    asked: tuple[str, ...]


def find_interpreter(env: Mapping[str, str]) -> Interpreter:
    """The interpreter that PYTHON names, else the first usable one on PATH. Raises ToolchainError."""
    refused: list[str] = []
    for path in _candidates(env):
        found = _probe(path, env)
        if isinstance(found, Interpreter):
            return found
        refused.append(f"{path}: {found}")
    wanted = env.get("PYTHON", "")
    hint = "; ".join(refused) or "install Python, or name one by the variable PYTHON"
    none = "no usable Python is on the PATH" if refused else "no Python is on the PATH"
    raise ToolchainError(f'PYTHON is "{wanted}", which is not usable' if wanted else none, hint)


def directories(env: Mapping[str, str]) -> tuple[str, ...]:
    """The absolute directories of PATH, in order."""
    return directories_of(env.get("PATH", os.defpath))


def _candidates(env: Mapping[str, str]) -> list[str]:
    wanted = env.get("PYTHON", "")
    if os.path.isabs(wanted):
        return [wanted]
    names = (wanted,) if wanted else _NAMES
    paths = [program_in(directory, name) for name in names for directory in directories(env)]
    return [path for path in paths if path]


def _probe(path: str, env: Mapping[str, str]) -> Interpreter | str:
    """What the interpreter says of itself, or why it cannot be used.

    It is asked in the root directory, where a shim finds no version that somebody chose for one project only.
    """
    kept = {name: env[name] for name in (*PythonDetector.environment, *_NEEDED) if name in env}
    try:
        asked = subprocess.run(
            [path, "-I", "-S", "-c", _PROBE],
            cwd="/",
            env={**kept, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it said nothing for {_PROBE_TIMEOUT_S} seconds"
    except OSError as error:
        return error.strerror or str(error)
    if asked.returncode != 0:
        return _what_matters(asked.stderr) or f"exit code {asked.returncode}"
    try:
        told = json.loads(asked.stdout)
    except ValueError:
        return f'it said "{_what_matters(asked.stdout)}", which is no answer of Python'
    version = tuple(told["version"])
    if version < OLDEST:
        return f"it is Python {version[0]}.{version[1]}, the oldest that is known is {OLDEST[0]}.{OLDEST[1]}"
    libraries = (*told["libraries"], *(f"{prefix}/lib/python{version[0]}.{version[1]}" for prefix in told["prefixes"]))
    there = dict.fromkeys(os.path.realpath(library) for library in libraries if os.path.isdir(library))
    return Interpreter(
        executable=os.path.realpath(told["executable"]),
        version=(version[0], version[1], version[2]),
        implementation=told["implementation"],
        tag=told["tag"],
        suffix=told["suffix"],
        libraries=tuple(there),
        found=path,
        asked=tuple(_shim_files(path, env)),
    )


def _what_matters(said: bytes) -> str:
    """What a person needs of it: shims and loaders say first what is wrong, Python itself says it last."""
    lines = said.decode(errors="replace").strip().splitlines() or [""]
    line = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    return " ".join(line.split())[:_SHOWN_CHARACTERS]


def _shim_files(path: str, env: Mapping[str, str]) -> list[str]:
    """What a shim of pyenv looks at to choose the version, where this is one; and the end of a chain of links."""
    root = env.get("PYENV_ROOT") or os.path.dirname(os.path.dirname(path))
    return [os.path.join(root, "version"), os.path.realpath(path)]
