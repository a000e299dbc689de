"""What Mach-O programs load: the closure of dynamic libraries, as dyld finds them on a Mac.

Sources: <mach-o/loader.h>, <mach-o/fat.h>, dyld(1). Libraries of the system itself are in its shared cache and in no
file: for all of them stands the file that names the system's version.
"""

import os
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from bldr.api.errors import ToolchainError

SYSTEM_VERSION = "/System/Library/CoreServices/SystemVersion.plist"
"""Another build of macOS is another one here."""

_SYSTEM = ("/usr/lib/", "/System/")
_THIN = {b"\xcf\xfa\xed\xfe": ("<", 32), b"\xce\xfa\xed\xfe": ("<", 28)}  # 64 and 32 bits, little-endian
_FAT = {b"\xca\xfe\xba\xbe": ">5I", b"\xca\xfe\xba\xbf": ">2I2Q2I"}
_MOST_SLICES = 42  # classes of Java begin with the same bytes, and then with a version above this
_LOADS = {0xC: True, 0x20: True, 0x8000001F: True, 0x80000023: True, 0x80000018: False}  # whether they must be there
_RPATH = 0x8000001C
_COMMANDS_BYTES_AT_MOST = 16 << 20


class _Image(NamedTuple):
    """What load commands say: names of libraries, each with whether it must be there, and search paths."""

    libraries: tuple[tuple[str, bool], ...]
    search: tuple[str, ...]


def is_macho(head: bytes) -> bool:
    """Whether a file that begins so is a program, library or object of macOS."""
    if head[:4] in _THIN:
        return True
    return head[:4] in _FAT and len(head) >= 8 and 0 < struct.unpack(">I", head[4:8])[0] <= _MOST_SLICES


def closure(program: str, exists: Callable[[str], bool] = os.path.isfile) -> set[str]:
    """The program and all that it loads at its start, by the names that dyld opens. Raises ToolchainError where a
    library is missing or the file is damaged."""
    found: set[str] = set()
    pending: list[tuple[str, tuple[str, ...]]] = [(program, ())]
    while pending:
        path, inherited = pending.pop()
        if path in found:
            continue
        found.add(path)
        image = _read(path)
        here = os.path.dirname(os.path.realpath(path))
        at = {"@loader_path": here, "@executable_path": os.path.dirname(os.path.realpath(program))}
        search = (*inherited, *(_expand(rpath, at) for rpath in image.search))
        for name, is_needed in image.libraries:
            candidates = _candidates(name, at, search)
            library = next(filter(exists, candidates), "")
            if library:
                pending.append((library, search))
            elif any(path.startswith(_SYSTEM) for path in candidates):
                found.add(SYSTEM_VERSION)
            elif is_needed:
                raise ToolchainError(f'"{path}" needs "{name}", which is not there', f"looked in {', '.join(search)}")
    return found - ({SYSTEM_VERSION} if not exists(SYSTEM_VERSION) else set())


def _candidates(name: str, at: dict[str, str], search: tuple[str, ...]) -> list[str]:
    """The paths by which dyld tries to open a library."""
    names = [_expand(name, at)]
    if name.startswith("@rpath/"):
        names = [f"{directory}/{name.removeprefix('@rpath/')}" for directory in search]
    return [path for path in map(os.path.normpath, names) if path.startswith("/")]


def _expand(path: str, at: dict[str, str]) -> str:
    word, slash, rest = path.partition("/")
    return f"{at[word]}{slash}{rest}" if word in at else path


def _read(path: str) -> _Image:
    """Of all architectures together."""
    libraries: dict[tuple[str, bool], None] = {}
    search: dict[str, None] = {}
    with open(path, "rb") as file:
        try:
            for offset in _slices(file):
                for command, text in _commands(file, offset):
                    if command == _RPATH:
                        search[text.rstrip("/")] = None
                    else:
                        libraries[text, _LOADS[command]] = None
        except (struct.error, UnicodeDecodeError, IndexError) as error:
            raise ToolchainError(f'"{path}" is damaged: {error}', "install the toolchain again") from error
    return _Image(tuple(libraries), tuple(search))


def _slices(file: BinaryIO) -> list[int]:
    """Where the images begin; none in a file of another kind."""
    head = file.read(8)
    if head[:4] in _THIN:
        return [0]
    if not is_macho(head):
        return []
    layout = _FAT[head[:4]]
    (count,) = struct.unpack(">I", head[4:8])
    return [struct.unpack(layout, file.read(struct.calcsize(layout)))[2] for _ in range(count)]


def _commands(file: BinaryIO, offset: int) -> Iterator[tuple[int, str]]:
    """The load commands that name a library or a search path, each with that name."""
    file.seek(offset)
    magic = file.read(4)
    if magic not in _THIN:
        return  # of an architecture that no Mac has any more, or an archive
    order, size = _THIN[magic]
    _, _, _, count, length = struct.unpack(f"{order}5I", file.read(20))
    file.seek(offset + size)
    data = file.read(min(length, _COMMANDS_BYTES_AT_MOST))
    at = 0
    for _ in range(count):
        command, bytes_ = struct.unpack_from(f"{order}2I", data, at)
        if bytes_ < 8 or at + bytes_ > len(data):
            raise struct.error("a load command ends outside of the file")
        if command in _LOADS or command == _RPATH:
            (start,) = struct.unpack_from(f"{order}I", data, at + 8)
            yield command, os.fsdecode(data[at + start : at + bytes_].split(b"\0")[0])
        at += bytes_
