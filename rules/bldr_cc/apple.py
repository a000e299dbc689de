"""What is particular to the tools of a Mac: programs that stand for others, and the directory of headers and stubs.

`/usr/bin/clang` and its like are shims: each asks `xcrun`, which looks for the chosen Xcode or Command Line Tools, and
for a cache in a directory that all applications share. Actions get the programs themselves.
"""

import os
import subprocess
from collections.abc import Mapping

from bldr.api import ToolchainError

_TIMEOUT_S = 60  # the first answer after an update takes long
_HINT = "install Apple's tools (`xcode-select --install`), or accept the licence of Xcode (`sudo xcodebuild -license`)"
TOOLS = ("libtool", "lipo", "install_name_tool", "otool", "dsymutil", "dwarfdump")
"""Beside those of every machine."""


def behind_shim(path: str, xcrun: str, env: Mapping[str, str]) -> str:
    """The program that runs when `path` is started: a program beside `xcrun` ("" where there is none) is a shim.
    Raises ToolchainError."""
    if not xcrun or not path or os.path.dirname(path) != os.path.dirname(xcrun):
        return path
    return _ask(xcrun, env, "--find", os.path.basename(path))


def sdk_of(xcrun: str, env: Mapping[str, str]) -> str:
    """The resolved directory with headers and the stubs of the system's libraries; "" without xcrun. Raises
    ToolchainError."""
    return os.path.realpath(_ask(xcrun, env, "--sdk", "macosx", "--show-sdk-path")) if xcrun else ""


def sdk_sentinels(sdk: str) -> tuple[str, ...]:
    """What shows that an SDK is another one. Installers replace it as a whole; it has ten thousand directories."""
    settings = (os.path.join(sdk, name) for name in ("SDKSettings.json", "SDKSettings.plist"))
    return (os.path.dirname(sdk), sdk, *filter(os.path.isfile, settings))


def _ask(xcrun: str, env: Mapping[str, str], *words: str) -> str:
    kept = {name: env[name] for name in ("DEVELOPER_DIR",) if name in env}
    try:
        done = subprocess.run(
            [xcrun, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={"PATH": f"{os.path.dirname(xcrun)}:{os.defpath}", "LC_ALL": "C", **kept},
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainError(f'"{xcrun}" cannot be run: {error}', _HINT) from error
    answer = os.fsdecode(done.stdout).strip()
    if done.returncode or not os.path.isabs(answer):
        said = next(iter(os.fsdecode(done.stderr).splitlines()), f"exit code {done.returncode}")
        raise ToolchainError(f'"{xcrun} {" ".join(words)}" failed: {said}', _HINT)
    return answer
