"""Asks a compiler where its parts are. Everything here looks at the machine; nothing decides what to show."""

import os
import re
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

from bldr.api import ToolchainError
from bldr_cc.apple import behind_shim, sdk_of

_TIMEOUT_S = 30
_WRAPPERS = ("ccache", "sccache", "distcc", "icecc")
_FRAMEWORKS = " (framework directory)"
_SCRIPT_WORD = re.compile(rb"[^\s(),]+")


class Compiler(NamedTuple):
    """A C compiler and the C++ compiler that belongs to it; `cxx` is "" where there is none, `sdk` but on a Mac."""

    kind: str
    cc: str
    cxx: str
    version: str
    include_dirs: tuple[str, ...]
    program_dirs: tuple[str, ...]
    library_dirs: tuple[str, ...]
    backends: tuple[str, ...]
    resource_dir: str
    sdk: str = ""


def search_path(env: Mapping[str, str]) -> tuple[str, ...]:
    """The directories of PATH, without those below HOME: what somebody keeps there is no part of the machine."""
    home = env.get("HOME", "").rstrip("/")
    paths = (path for path in env.get("PATH", os.defpath).split(":") if os.path.isabs(path))
    return tuple(path for path in paths if not home or not f"{path}/".startswith(f"{home}/"))


def find_program(name: str, env: Mapping[str, str]) -> str:
    """The path of a command on PATH, links not followed; "" where it is missing. Compiler caches are passed over."""
    if "/" in name:
        return name if os.path.isabs(name) and os.access(name, os.X_OK) else ""
    for directory in search_path(env):
        path = os.path.join(directory, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            real = os.path.basename(os.path.realpath(path))
            if not real.startswith(_WRAPPERS):
                return path
    return ""


def find_compiler(env: Mapping[str, str]) -> Compiler:
    """The compiler that CC and CXX name, else gcc, else clang. Raises ToolchainError."""
    cc = _chosen(env)
    cxx = env.get("CXX", "") or _companion(cc, env)
    if cxx and not find_program(cxx, env):
        raise ToolchainError(
            f'CXX names "{cxx}", which is no program', "CXX is the name or absolute path of a compiler"
        )
    xcrun = find_program("xcrun", env)
    path, path_cxx = (behind_shim(find_program(name, env) if name else "", xcrun, env) for name in (cc, cxx))
    macros = _ask(path, "-dM", "-E", "-x", "c", os.devnull)
    kind = "clang" if "#define __clang__" in macros else "gcc"
    sdk = sdk_of(xcrun, env)
    searched = _ask(path, "-print-search-dirs")
    backends = [_ask(path, f"-print-prog-name={name}").strip() for name in ("cc1", "collect2", "lto1")]
    language = "c++" if cxx else "c"
    return Compiler(
        kind=kind,
        cc=path,
        cxx=path_cxx,
        version=_ask(path, "-dumpversion").strip(),
        include_dirs=_include_dirs(_ask(path_cxx or path, "-v", "-E", "-x", language, os.devnull, sdk=sdk)),
        program_dirs=(*((os.path.dirname(path),) if sdk else ()), *_search_dirs(searched, "programs")),
        library_dirs=_search_dirs(searched, "libraries"),
        backends=tuple(os.path.realpath(name) for name in backends if os.path.isabs(name)),
        resource_dir=os.path.realpath(_ask(path, "-print-resource-dir").strip()) if kind == "clang" else "",
        sdk=sdk,
    )


def _chosen(env: Mapping[str, str]) -> str:
    if named := env.get("CC", ""):
        if not find_program(named, env):
            raise ToolchainError(
                f'CC names "{named}", which is no program',
                "CC is the name or absolute path of a compiler, without flags",
            )
        return named
    # On a Mac, gcc is clang by another name.
    for name in ("clang", "gcc", "cc") if find_program("xcrun", env) else ("gcc", "clang", "cc"):
        if find_program(name, env):
            return name
    raise ToolchainError("no C compiler is on the PATH", "install gcc or clang (Debian: apt-get install gcc g++)")


def _companion(cc: str, env: Mapping[str, str]) -> str:
    """The C++ compiler of the same family: gcc-12 -> g++-12, clang -> clang++."""
    directory, name = os.path.split(cc)
    for family, companion in (("clang", "clang++"), ("gcc", "g++"), ("cc", "c++")):
        if family in name:
            other = os.path.join(directory, name.replace(family, companion))
            return other if find_program(other, env) else ""
    return ""


def _ask(*argv: str, sdk: str = "") -> str:
    """What the compiler says, standard output and error together, in the untranslated form."""
    path = f"{os.path.dirname(argv[0])}:{os.defpath}"
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": path, "LC_ALL": "C", **({"SDKROOT": sdk} if sdk else {})},
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainError(f'"{argv[0]}" cannot be run: {error}', "set CC to a working compiler") from error
    text = os.fsdecode(done.stdout)
    if done.returncode != 0:
        line = next(iter(text.splitlines()), f"exit code {done.returncode}")
        raise ToolchainError(f'"{" ".join(argv)}" failed: {line}', "set CC to a working compiler")
    return text


def _include_dirs(text: str) -> tuple[str, ...]:
    _, _, rest = text.partition("#include <...> search starts here:")
    listed, _, _ = rest.partition("End of search list.")
    lines = (line.strip().removesuffix(_FRAMEWORKS) for line in listed.splitlines())
    return tuple(dict.fromkeys(os.path.realpath(line) for line in lines if line))


def _search_dirs(text: str, word: str) -> tuple[str, ...]:
    for line in text.splitlines():
        if line.startswith(f"{word}: "):
            paths = line[len(word) + 2 :].removeprefix("=").split(":")
            real = (os.path.realpath(path) for path in paths if path)
            return tuple(path for path in dict.fromkeys(real) if os.path.isdir(path))
    return ()


def find_library(name: str, compiler: Compiler) -> str:
    """The file that the linker would take; "" where there is none."""
    for directory in compiler.library_dirs:
        path = os.path.join(directory, name)
        if os.path.isfile(path):
            return path
    return ""


def script_files(path: str, compiler: Compiler) -> list[str]:
    """The files that a linker script (a `libc.so` that is text) names; none where `path` is no script."""
    with open(path, "rb") as file:
        text = file.read(4096)
    if text.startswith((b"\x7fELF", b"!<arch>", b"!<thin>")):
        return []
    files = []
    for match in _SCRIPT_WORD.finditer(re.sub(rb"/\*.*?\*/", b"", text, flags=re.DOTALL)):
        word = os.fsdecode(match.group())
        if os.path.isabs(word) and os.path.isfile(word):
            files.append(word)
        elif ".so" in word or word.endswith(".a"):
            files += [found for found in (find_library(word, compiler),) if found]
    return files
