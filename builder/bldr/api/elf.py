"""What programs load: the closure of shared libraries that a toolchain has to show beside its programs.

Sources: ELF gABI, ld.so(8). Libraries are looked for as the loader does where there is no `ld.so.cache` and no
`LD_LIBRARY_PATH`, because a sandbox has neither. Needs pyelftools, which is imported only when a program is read.
Programs of macOS are read by `macho`.
"""

import os
from collections.abc import Iterable
from typing import NamedTuple

from bldr.api import macho
from bldr.api.errors import ToolchainError

_HEAD_BYTES = 256
_TRIPLETS = {
    "EM_X86_64": "x86_64-linux-gnu",
    "EM_AARCH64": "aarch64-linux-gnu",
    "EM_ARM": "arm-linux-gnueabihf",
    "EM_386": "i386-linux-gnu",
    "EM_RISCV": "riscv64-linux-gnu",
    "EM_PPC64": "powerpc64le-linux-gnu",
    "EM_S390": "s390x-linux-gnu",
}


class HostFiles(NamedTuple):
    """Files by their real paths, and the links by which programs know them, both sorted.

    Links in the root directory (`/lib` -> `usr/lib`) are not among them: every sandbox has the host's.
    """

    files: tuple[str, ...]
    links: tuple[tuple[str, str], ...]


class _Loaded(NamedTuple):
    """What the dynamic section of one file says."""

    machine: str
    bits: int
    interpreter: str
    needed: tuple[str, ...]
    search: tuple[str, ...]


def runtime_files(programs: Iterable[str]) -> HostFiles:
    """The programs, their interpreters (also those of scripts) and every shared library that they load at their start.

    `programs` are absolute paths; shared libraries may be among them. Raises ToolchainError where a library is missing.
    """
    pending = list(programs)
    found: set[str] = set()
    while pending:
        path = pending.pop()
        if path in found:
            continue
        found.add(path)
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
        if macho.is_macho(head):
            found |= macho.closure(path)
        else:
            pending += _loaded_by(path, head)
    return standing(found)


def standing(paths: Iterable[str]) -> HostFiles:
    """Where the files of these names really stand, and the links on the way to them."""
    files: set[str] = set()
    links: set[tuple[str, str]] = set()
    for path in paths:
        directory = _follow(os.path.dirname(path), links)
        name = os.path.join(directory, os.path.basename(path))
        real = os.path.realpath(name)
        files.add(real)
        for link in _names_of(name, real):
            links.add((link, os.path.relpath(real, os.path.dirname(link))))
    return HostFiles(tuple(sorted(files)), tuple(sorted(links)))


def _names_of(name: str, real: str) -> list[str]:
    """The name itself, and those that the chain of links passes beside the real file (`libz.so` -> `libz.so.1`)."""
    names: list[str] = []
    while name != real:
        if not names or os.path.dirname(name) == os.path.dirname(real):
            names.append(name)
        target = os.path.join(os.path.dirname(name), os.readlink(name))
        name = os.path.join(os.path.realpath(os.path.dirname(target)), os.path.basename(target))
    return names


def _follow(directory: str, links: set[tuple[str, str]]) -> str:
    """The real path of a directory; links below the top level are added to `links`."""
    real = "/"
    for part in directory.split("/"):
        if part in ("", "."):
            continue
        name = os.path.normpath(os.path.join(real, part))
        target = os.path.realpath(name)
        if target != name and real != "/":
            links.add((name, os.path.relpath(target, real)))
        real = target
    return real


def _loaded_by(path: str, head: bytes) -> list[str]:
    """The names, as the loader opens them, of what this file loads directly; `head` is how it begins."""
    if head.startswith(b"#!"):
        return [os.fsdecode(head[2:].split(b"\n")[0].split()[0])]
    if not head.startswith(b"\x7fELF"):
        return []
    own = _read(path)
    names = [own.interpreter] if own.interpreter else []
    return names + [_find(library, path, own) for library in own.needed]


def _read(path: str) -> _Loaded:
    from elftools.elf.dynamic import DynamicSegment
    from elftools.elf.elffile import ELFFile
    from elftools.elf.segments import InterpSegment

    interpreter = ""
    needed: list[str] = []
    search: dict[str, list[str]] = {"DT_RPATH": [], "DT_RUNPATH": []}
    with open(path, "rb") as file:
        elf = ELFFile(file)
        for segment in elf.iter_segments():
            if isinstance(segment, InterpSegment):
                interpreter = segment.get_interp_name()
            elif isinstance(segment, DynamicSegment):
                for tag in segment.iter_tags():
                    kind = tag.entry.d_tag
                    if kind in ("DT_NEEDED", "DT_RPATH", "DT_RUNPATH"):
                        text = getattr(tag, kind[3:].lower())
                        (needed if kind == "DT_NEEDED" else search[kind]).append(text)
        path = ":".join(search["DT_RUNPATH"] or search["DT_RPATH"])
        return _Loaded(
            str(elf["e_machine"]),
            elf.elfclass,
            interpreter,
            tuple(needed),
            tuple(part for part in path.split(":") if part),
        )


def _find(library: str, user: str, own: _Loaded) -> str:
    """The path by which the loader opens a library that `user` needs."""
    if "/" in library:
        return library
    origin = os.path.dirname(os.path.realpath(user))
    triplet = _TRIPLETS.get(own.machine, "")
    word = "lib64" if own.bits == 64 else "lib"
    directories = [part.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", origin) for part in own.search]
    directories += [f"{prefix}/lib/{triplet}" for prefix in ("", "/usr") if triplet]
    directories += [f"{prefix}/{name}" for name in dict.fromkeys((word, "lib")) for prefix in ("", "/usr")]
    for directory in directories:
        path = os.path.normpath(f"{directory}/{library}")
        if _same_machine(path, own):
            return path
    raise ToolchainError(
        f'"{user}" needs "{library}", which is in none of the directories that the loader knows without a cache',
        f"looked in {', '.join(dict.fromkeys(directories))}",
    )


def _same_machine(path: str, own: _Loaded) -> bool:
    """Whether the file is there and of the user's class: a 32-bit namesake is passed over."""
    try:
        with open(path, "rb") as file:
            head = file.read(5)
    except OSError:
        return False
    return head[:4] == b"\x7fELF" and head[4] == (2 if own.bits == 64 else 1)
