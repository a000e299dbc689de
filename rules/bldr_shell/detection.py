"""Detects the toolchain "shellcheck"."""

import os
from collections.abc import Mapping

from bldr.api import Toolchain, ToolchainError
from bldr.api.content import content_of
from bldr.api.elf import runtime_files
from bldr_shell.toolchain import ShellcheckDetector


def detect(env: Mapping[str, str]) -> Toolchain:
    home = env.get("HOME", "").rstrip("/")
    directories = [path for path in env.get("PATH", os.defpath).split(":") if os.path.isabs(path)]
    searched = [path for path in directories if not home or not f"{path}/".startswith(f"{home}/")]
    for directory in searched:
        path = os.path.join(directory, ShellcheckDetector.name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            break
    else:
        raise ToolchainError("shellcheck is not on the PATH", "install it, or write lint = false")
    loaded = runtime_files([path])
    executables = {ShellcheckDetector.name: os.path.realpath(path)}
    return Toolchain(
        name=ShellcheckDetector.name,
        executables=executables,
        files=loaded.files,
        links=loaded.links,
        identity=content_of(loaded.files, (*loaded.links, *executables.items())).identity,
        sentinels=(*loaded.files, *searched),
    )
