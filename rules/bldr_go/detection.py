"""Detects the toolchain "go"."""

import os
import subprocess
from collections.abc import Mapping

from bldr.api import Toolchain, ToolchainError
from bldr.api.content import content_of
from bldr.api.elf import runtime_files, standing
from bldr_go.toolchain import GoDetector

_TIMEOUT_S = 60
_INSTALL = "install Go (Debian: apt-get install golang-go), or name its directory in GOROOT"
_TOOLS = ("asm", "compile", "link")


def detect(env: Mapping[str, str]) -> Toolchain:
    command = _find(env)
    root = _ask(env, command, "GOROOT")
    tools = _ask(env, command, "GOTOOLDIR")
    version = _ask(env, command, "GOVERSION").removeprefix("go")
    programs = {"go": os.path.join(root, "bin", "go")}
    programs.update((f"go-{name}", os.path.join(tools, name)) for name in _TOOLS)
    for name, path in programs.items():
        if not os.access(path, os.X_OK):
            raise ToolchainError(f'the Go at "{root}" has no {name}: "{path}" is no program', _INSTALL)
    trees = [os.path.join(root, name) for name in ("src", "pkg/include")]
    roots = tuple(sorted(os.path.realpath(path) for path in trees)) if all(map(_is_open, trees)) else ()
    texts = [path for name in ("VERSION", "go.env") if os.path.isfile(path := os.path.join(root, name))]
    copied = [] if roots else [path for tree in trees for path in _below(tree)]
    parts = (runtime_files(programs.values()), standing((*texts, *copied)))
    files = tuple(sorted({path for part in parts for path in part.files}))
    links = tuple(sorted({link for part in parts for link in part.links} | _links_to(trees, roots)))
    resolved = {name: os.path.realpath(path) for name, path in programs.items()}
    content = content_of(files, (*links, *resolved.items()), roots)
    return Toolchain(
        name=GoDetector.name,
        executables=resolved,
        files=files,
        links=links,
        roots=roots,
        attributes={"version": version, "goroot": root},
        identity=content.identity,
        # A command that appears on PATH may be found instead of the one that was.
        sentinels=(*files, *content.directories, command, *_directories(env)),
    )


def _directories(env: Mapping[str, str]) -> list[str]:
    return [path for path in env.get("PATH", os.defpath).split(":") if os.path.isabs(path)]


def _find(env: Mapping[str, str]) -> str:
    if root := env.get("GOROOT", ""):
        path = os.path.join(root, "bin", "go")
        if not os.path.isabs(root) or not os.access(path, os.X_OK):
            raise ToolchainError(f'GOROOT names "{root}", where no bin/go is', "GOROOT is the directory of a Go")
        return path
    for directory in _directories(env):
        path = os.path.join(directory, "go")
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise ToolchainError("no go is on the PATH", _INSTALL)


def _ask(env: Mapping[str, str], command: str, name: str) -> str:
    """What `go env` says, without the settings of its user."""
    kept = {variable: env[variable] for variable in GoDetector.environment if variable in env}
    # No HOME: newer ones put their telemetry there, and make it for that.
    fixed = {"GOENV": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOCACHE": "/nonexistent", "GOPATH": "/nonexistent"}
    argv = (command, "env", name)
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            env={**kept, **fixed},
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainError(f'"{command}" cannot be run: {error}', _INSTALL) from error
    said = os.fsdecode(done.stdout).strip()
    if done.returncode != 0 or not said:
        line = next(iter(os.fsdecode(done.stderr).splitlines()), f"exit code {done.returncode}")
        raise ToolchainError(f'"{" ".join(argv)}" failed: {line}', _INSTALL)
    return said


def _is_open(path: str) -> bool:
    """Whether the unprivileged user of a sandbox may enter the directory: if not, its files are copied one by one."""
    path = os.path.realpath(path)
    while path != "/":
        if os.stat(path).st_mode & 0o005 != 0o005:
            return False
        path = os.path.dirname(path)
    return True


def _below(tree: str) -> list[str]:
    found = [os.path.join(directory, name) for directory, _, names in os.walk(tree) for name in names]
    return sorted(path for path in found if os.path.isfile(path))


def _links_to(trees: list[str], roots: tuple[str, ...]) -> set[tuple[str, str]]:
    """By which names the go command knows directories that a distribution keeps elsewhere."""
    real = {path: os.path.realpath(path) for path in trees if roots}
    return {(path, os.path.relpath(to, os.path.dirname(path))) for path, to in real.items() if path != to}
