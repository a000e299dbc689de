"""Detects the toolchain "node"."""

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any

from bldr.api import Toolchain, ToolchainError
from bldr.api.content import content_of
from bldr.api.elf import runtime_files
from bldr_javascript.toolchain import NodeDetector

_OLDEST = 20
_ASK = (
    "console.log(JSON.stringify([process.version, process.execPath, "
    "process.config.variables.node_builtin_shareable_builtins || []]))"
)
_ANSWER_S = 30


def detect(env: Mapping[str, str]) -> Toolchain:
    directories = [path for path in env.get("PATH", os.defpath).split(":") if os.path.isabs(path)]
    candidates = (os.path.join(directory, "node") for directory in directories)
    found = next((path for path in candidates if os.path.isfile(path) and os.access(path, os.X_OK)), None)
    if found is None:
        raise ToolchainError(
            "there is no node on the PATH",
            f"install Node.js {_OLDEST} or newer (Debian and Ubuntu: apt-get install nodejs)",
        )
    version, program, builtins = _ask(found, env)
    if int(version.partition(".")[0]) < _OLDEST:
        raise ToolchainError(f'"{found}" is Node.js {version}', f"install version {_OLDEST} or newer")
    # Distributions keep some built-in modules as files.
    modules = {os.path.dirname(path) for path in builtins if os.path.isfile(path)}
    roots = tuple(sorted(os.path.realpath(path) for path in modules))
    loaded = runtime_files([program])
    content = content_of(loaded.files, (*loaded.links, ("node", program)), roots)
    return Toolchain(
        name=NodeDetector.name,
        executables={"node": program},
        files=loaded.files,
        links=loaded.links,
        roots=roots,
        attributes={"version": version},
        identity=content.identity,
        sentinels=(found, *loaded.files, *content.directories, *directories),
    )


def _ask(path: str, env: Mapping[str, str]) -> tuple[str, str, list[str]]:
    """The version, the interpreter's real path, and built-in modules that are files."""
    asked = {name: env[name] for name in NodeDetector.environment if name in env}
    try:
        ran = subprocess.run(
            [path, "-e", _ASK], env=asked, cwd="/", capture_output=True, timeout=_ANSWER_S, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainError(f'"{path}" cannot be run: {error}', "put a working node on PATH") from error
    try:
        answer: Any = json.loads(ran.stdout)
        version, program, builtins = answer
        return version.removeprefix("v"), os.path.realpath(program), list(builtins)
    except (ValueError, TypeError, AttributeError) as error:
        said = next(iter(os.fsdecode(ran.stderr).splitlines()), f"exit code {ran.returncode}")
        hint = "put a working node on PATH"
        raise ToolchainError(f'"{path}" does not say which version it is: {said}', hint) from error
