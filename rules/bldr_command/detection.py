"""Detects the toolchain "shell"."""

import os
from collections.abc import Mapping

from bldr.api import Toolchain, ToolchainError
from bldr.api.content import content_of
from bldr.api.elf import HostFiles, runtime_files
from bldr.api.programs import directories_of, program_in
from bldr_command.toolchain import ShellDetector

_COREUTILS = (
    "[", "b2sum", "base32", "base64", "basename", "basenc", "cat", "chmod", "cksum", "comm", "cp", "csplit", "cut",
    "date", "dd", "dir", "dirname", "du", "echo", "env", "expand", "expr", "factor", "false", "fmt", "fold", "head",
    "id", "install", "join", "link", "ln", "ls", "md5sum", "mkdir", "mkfifo", "mktemp", "mv", "nl", "nproc", "numfmt",
    "od", "paste", "pathchk", "pr", "printenv", "printf", "ptx", "pwd", "readlink", "realpath", "rm", "rmdir", "seq",
    "sha1sum", "sha224sum", "sha256sum", "sha384sum", "sha512sum", "shred", "shuf", "sleep", "sort", "split", "stat",
    "sum", "sync", "tac", "tail", "tee", "test", "timeout", "touch", "tr", "true", "truncate", "tsort", "tty",
    "uname", "unexpand", "uniq", "unlink", "vdir", "wc", "who", "whoami", "yes",
)  # fmt: skip
_OTHERS = (
    "awk", "bash", "bunzip2", "bzcat", "bzip2", "cmp", "diff", "diff3", "egrep", "fgrep", "find", "gawk", "getopt",
    "grep", "gunzip", "gzip", "mawk", "patch", "sdiff", "sed", "tar", "unxz", "unzstd", "which", "xargs", "xz", "xzcat",
    "zcat", "zstd",
)  # fmt: skip
_ESSENTIAL = ("sh", "cat", "cp", "mkdir", "mv", "rm", "sed", "grep", "awk", "tr", "sort", "head", "test")
_OF_WINDOWS = (
    "cmd", "certutil", "comp", "curl", "expand", "fc", "find", "findstr", "more", "powershell", "robocopy", "sort",
    "tar", "where", "xcopy",
)  # fmt: skip
_NAMES = tuple(dict.fromkeys((*_ESSENTIAL, *_COREUTILS, *_OTHERS)))


def detect(env: Mapping[str, str]) -> Toolchain:
    directories = _directories(env)
    if os.name == "nt":
        return _of_windows(ShellDetector.name, directories)
    found = {name: path for name in _NAMES if (path := _on_path(name, directories))}
    loaded = _loaded(found)
    for name in _ESSENTIAL:
        if name not in found:
            hint = f"looked in {', '.join(directories)}; install your system's basic tools"
            raise ToolchainError(f'no usable "{name}" is on the PATH', hint)
    executables = {name: os.path.realpath(path) for name, path in found.items()}
    links = {*loaded.links, *_shell_links(executables["sh"])}
    made = (*links, *executables.items())
    return Toolchain(
        name=ShellDetector.name,
        executables=executables,
        files=loaded.files,
        links=tuple(sorted(links)),
        identity=content_of(loaded.files, made).identity,
        sentinels=(*loaded.files, *directories),
    )


def _of_windows(name: str, directories: list[str]) -> Toolchain:
    """The programs that every Windows has, and a shell where somebody installed one. They stay where they are, and what
    they load is the system's own: the identity is that of the programs."""
    found = {program: path for program in (*_NAMES, *_OF_WINDOWS) if (path := _on_path(program, directories))}
    if "cmd" not in found:
        raise ToolchainError('no "cmd" is on the PATH', f"looked in {', '.join(directories)}")
    return Toolchain(
        name=name,
        executables=found,
        identity=content_of(found.values()).identity,
        sentinels=(*found.values(), *directories),
    )


def _directories(env: Mapping[str, str]) -> list[str]:
    home = env.get("HOME", "").rstrip("/")
    paths = directories_of(env.get("PATH", os.defpath))
    return [path for path in paths if not home or not f"{path}/".startswith(f"{home}/")]


def _on_path(name: str, directories: list[str]) -> str:
    for directory in directories:
        path = program_in(directory, name)
        if path:
            return path
    return ""


def _loaded(found: dict[str, str]) -> HostFiles:
    """What all programs load; those that could not be loaded in a sandbox are taken out of `found`."""
    try:
        return runtime_files(found.values())
    except (ToolchainError, OSError):
        for name, path in list(found.items()):
            try:
                runtime_files([path])
            except (ToolchainError, OSError):
                del found[name]
        return runtime_files(found.values())


def _shell_links(shell: str) -> set[tuple[str, str]]:
    """`/bin/sh` is where scripts and system(3) look, whatever PATH found."""
    path = "/usr/bin/sh" if os.path.realpath("/bin") == "/usr/bin" else "/bin/sh"
    return {(path, os.path.relpath(shell, os.path.dirname(path)))} if path != shell else set()
