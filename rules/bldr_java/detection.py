"""Detects the toolchain "java"."""

import os
import re
from collections.abc import Mapping

from bldr.api import Toolchain, ToolchainError
from bldr.api.content import content_of
from bldr.api.elf import runtime_files
from bldr_java.toolchain import JavaDetector

_PROGRAMS = ("java", "javac", "jar")
_OLDEST = 17
_RELEASE = re.compile(r'^JAVA_VERSION="([^"]+)"', re.MULTILINE)
# What desktops need, or what is found elsewhere and in no build: their links lead out of the kit.
_UNUSED = ("src.zip", "libatk-wrapper.so")


def detect(env: Mapping[str, str]) -> Toolchain:
    home, found = _home(env)
    version = _version(home)
    executables = {name: os.path.join(home, "bin", name) for name in _PROGRAMS}
    for path in executables.values():
        if not os.access(path, os.X_OK):
            raise ToolchainError(f'there is no "{path}"', "install a development kit, not the runtime alone")
    roots = _roots(home)
    # The kit's own libraries lie in the roots and are shown with them; these are the system's.
    machine = os.path.join(home, "lib", "server", "libjvm.so")
    loaded = runtime_files((*executables.values(), machine, *_elsewhere(roots)))
    files = tuple(path for path in loaded.files if not _is_below(path, roots))
    links = tuple(link for link in loaded.links if not _is_below(link[0], roots))
    content = content_of(files, (*links, *executables.items()), roots)
    return Toolchain(
        name=JavaDetector.name,
        executables=executables,
        files=files,
        links=links,
        roots=roots,
        attributes={"version": version},
        identity=content.identity,
        sentinels=(found, *files, *content.directories, *_directories(env)),
    )


def _directories(env: Mapping[str, str]) -> list[str]:
    return [path for path in env.get("PATH", os.defpath).split(":") if os.path.isabs(path)]


def _home(env: Mapping[str, str]) -> tuple[str, str]:
    """The kit's directory, and the path by which it was found: a link that may come to lead elsewhere."""
    if named := env.get("JAVA_HOME"):
        home = os.path.realpath(named)
        if not os.path.isfile(os.path.join(home, "bin", "javac")):
            raise ToolchainError(
                f'JAVA_HOME is "{named}", where there is no bin/javac', "name a development kit, or unset it"
            )
        return home, os.path.abspath(named)
    for directory in _directories(env):
        path = os.path.join(directory, "javac")
        if os.path.isfile(path) and os.access(path, os.X_OK):
            home = os.path.dirname(os.path.dirname(os.path.realpath(path)))
            if os.path.isfile(os.path.join(home, "lib", "modules")):
                return home, path
    raise ToolchainError(
        "there is no javac on the PATH",
        "install a development kit (Debian and Ubuntu: apt-get install default-jdk-headless), or set JAVA_HOME",
    )


def _version(home: str) -> str:
    """As the kit's file `release` says it."""
    path = os.path.join(home, "release")
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            match = _RELEASE.search(file.read())
    except OSError:
        match = None
    if match is None:
        raise ToolchainError(f'"{path}" does not say which version of Java it is', "name another kit with JAVA_HOME")
    major = int(re.match(r"\d*", match[1])[0] or 0)  # type: ignore[index]  # matches every text
    if major < _OLDEST:
        raise ToolchainError(
            f'"{home}" is Java {match[1]}, whose jars are different every time', f"install version {_OLDEST} or newer"
        )
    return match[1]


def _roots(home: str) -> tuple[str, ...]:
    wanted = [os.path.join(home, name) for name in ("lib", "conf")]
    return tuple(sorted({os.path.realpath(path) for path in wanted if os.path.isdir(path)}))


def _elsewhere(roots: tuple[str, ...]) -> list[str]:
    """The files that links below the roots lead to: Debian keeps settings and certificates elsewhere."""
    found = set()
    for root in roots:
        for directory, _, names in os.walk(root):
            for name in names:
                path = os.path.join(directory, name)
                if os.path.islink(path) and name not in _UNUSED and os.path.isfile(path):
                    found.add(os.path.realpath(path))
    return sorted(path for path in found if not _is_below(path, roots))


def _is_below(path: str, directories: tuple[str, ...]) -> bool:
    return any(path == directory or path.startswith(f"{directory}/") for directory in directories)
