"""Detects the toolchain "rust"."""

import os
import subprocess
from collections.abc import Mapping

from bldr.api import Toolchain, ToolchainError
from bldr.api.content import content_of
from bldr.api.elf import runtime_files, standing
from bldr_rust.toolchain import RustDetector

_TIMEOUT_S = 60
_INSTALL = "install Rust (Debian: apt-get install rustc), or name the compiler in RUSTC"


def detect(env: Mapping[str, str]) -> Toolchain:
    found = _find(env)
    sysroot = os.path.realpath(_ask(env, found, "--print", "sysroot").strip())
    rustc = os.path.realpath(os.path.join(sysroot, "bin", "rustc"))
    if not os.path.isfile(rustc):
        raise ToolchainError(f'"{found}" says that its sysroot is "{sysroot}", where no bin/rustc is', _INSTALL)
    version = dict(line.split(": ", 1) for line in _ask(env, rustc, "-vV").splitlines() if ": " in line)
    host = version["host"]
    root = os.path.join(sysroot, "lib", "rustlib", host)
    if not os.path.isdir(os.path.join(root, "lib")):
        raise ToolchainError(f'"{rustc}" has no standard library at "{root}/lib"', _INSTALL)
    roots = (root,) if _is_open(root) else ()
    own = runtime_files((rustc, *_programs(root)))
    library = standing(_below(root) if not roots else _led_to(root))
    files = tuple(path for path in sorted({*own.files, *library.files}) if not _is_shown(path, roots))
    links = tuple(link for link in sorted({*own.links, *library.links}) if not _is_shown(link[0], roots))
    content = content_of(files, (*links, ("rustc", rustc)), roots)
    return Toolchain(
        name=RustDetector.name,
        executables={"rustc": rustc},
        files=files,
        links=links,
        roots=roots,
        attributes={"version": version["release"], "host": host},
        identity=content.identity,
        # A compiler that appears on PATH may be found instead; a stand-in may be told to run another one.
        sentinels=(*files, *content.directories, *_directories(env), *_settings(env), found, root, f"{root}/lib"),
    )


def _directories(env: Mapping[str, str]) -> list[str]:
    return [path for path in env.get("PATH", os.defpath).split(":") if os.path.isabs(path)]


def _find(env: Mapping[str, str]) -> str:
    named = env.get("RUSTC", "")
    if os.path.isabs(named):
        if not os.access(named, os.X_OK):
            raise ToolchainError(f'RUSTC names "{named}", which is no program', "RUSTC is a name or an absolute path")
        return named
    name = named or "rustc"
    for directory in _directories(env):
        path = os.path.join(directory, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    if named:
        raise ToolchainError(f'RUSTC names "{named}", which is no program', "RUSTC is a name or an absolute path")
    raise ToolchainError("no rustc is on the PATH", _INSTALL)


def _settings(env: Mapping[str, str]) -> list[str]:
    """The file in which rustup keeps the name of the default toolchain."""
    home = env.get("RUSTUP_HOME", "") or (f"{env['HOME']}/.rustup" if env.get("HOME") else "")
    return [os.path.join(home, "settings.toml")] if os.path.isabs(home) else []


def _ask(env: Mapping[str, str], *argv: str) -> str:
    kept = {name: env[name] for name in RustDetector.environment if name in env}
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            env={**kept, "LC_ALL": "C", "RUSTUP_AUTO_INSTALL": "0"},
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainError(f'"{argv[0]}" cannot be run: {error}', _INSTALL) from error
    if done.returncode != 0:
        line = next(iter(os.fsdecode(done.stderr).splitlines()), f"exit code {done.returncode}")
        raise ToolchainError(f'"{" ".join(argv)}" failed: {line}', _INSTALL)
    return os.fsdecode(done.stdout)


def _programs(root: str) -> list[str]:
    """The linker that comes with the compiler, if one does. For other programs there rustc sets a library path."""
    paths = (f"{root}/bin/rust-lld", f"{root}/bin/gcc-ld/ld.lld")
    return [path for path in paths if os.access(path, os.X_OK)]


def _is_open(root: str) -> bool:
    """Whether the unprivileged user of a sandbox may enter the directory: if not, its files are copied one by one."""
    while root != "/":
        if os.stat(root).st_mode & 0o005 != 0o005:
            return False
        root = os.path.dirname(root)
    return True


def _is_shown(path: str, roots: tuple[str, ...]) -> bool:
    return any(path.startswith(f"{root}/") for root in roots)


def _below(root: str) -> list[str]:
    """All files of the standard library and the linker, as the compiler names them."""
    found = [os.path.join(directory, name) for directory, _, names in os.walk(f"{root}/lib") for name in names]
    return sorted((*(path for path in found if os.path.isfile(path)), *_programs(root)))


def _led_to(root: str) -> list[str]:
    """What links below the root lead to: some distributions keep the shared standard library elsewhere."""
    return sorted(os.path.realpath(path) for path in _below(root) if os.path.islink(path))
