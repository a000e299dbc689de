"""The toolchain "zig": the compiler of the wheel `ziglang`, which is installed beside this plugin."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from bldr.api import Toolchain, ToolchainError
from bldr.api.elf import runtime_files

_PLACE = "/toolchain/zig/tree"


class ZigDetector:
    """The program and its library of sources, which it finds beside itself. No variable decides anything."""

    name = "zig"
    environment = ()

    def detect(self, env: Mapping[str, str]) -> Toolchain:
        """The toolchain. Raises ToolchainError where the wheel is not installed."""
        directory = _directory()
        program, library = os.path.join(directory, "zig"), os.path.join(directory, "lib")
        loaded = runtime_files([program])  # on Linux the program is static, and this is itself
        directories = [above for above, _, _ in os.walk(library)]
        return Toolchain(
            name=self.name,
            executables={"zig": f"{_PLACE}/zig"},
            files=tuple(path for path in loaded.files if path != program),
            links=loaded.links,
            # 340 MB in 15 000 files: shown as it is and read-only, at a place that is the same everywhere.
            trees=((_PLACE, directory),),
            attributes={"version": version("ziglang")},
            identity=_identity(directory, program, library),
            sentinels=(program, *directories),
        )


def _directory() -> str:
    try:
        spec = find_spec("ziglang")
        version("ziglang")
    except (PackageNotFoundError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        hint = "install it into the environment of bldr: pip install ziglang==0.13.0"
        raise ToolchainError("the compiler of Zig is not installed", hint)
    return os.path.realpath(next(iter(spec.submodule_search_locations)))


def _identity(directory: str, *parts: str) -> str:
    """A digest of names and contents. Where they stand does not count: what is compiled does not depend on it."""
    total = hashlib.sha256()
    for path in sorted(path for part in parts for path in _files(part)):
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{os.path.relpath(path, directory)}\0{content}\0".encode())
    return total.hexdigest()


def _files(path: str) -> Iterator[str]:
    if os.path.isfile(path):
        yield path
    for above, _, names in os.walk(path):
        yield from (os.path.join(above, name) for name in names)
