"""The rules that say what of the host a launch may use; reads directories only."""

import os
from collections.abc import Mapping

from bldr.api import Launch

_DEVICES = ("full", "null", "random", "urandom", "zero")

Rules = tuple[tuple[str, str], ...]


def rules(launch: Launch, scratch: Mapping[str, str]) -> Rules:
    """What may be read and written on the host. Raises OSError where something is not there."""
    spec = launch.spec
    # A container or a chroot need not have them all; what is missing nobody can use.
    read, write = {"/proc"}, {place for name in _DEVICES if os.path.exists(place := f"/dev/{name}")}
    for item in spec.inputs:
        source = item.source or item.path
        read.add(_real(source))
        if source != item.path:
            # Its files refer to each other, and to what runs them, by the names that they have in the sandbox.
            read |= _counterparts(source, item.path)
    write |= {_real(output.source or output.path) for output in spec.outputs if not _in_tree(output.path, launch)}
    write |= {_real(path) for path in (*scratch.values(), *spec.devices)}
    if launch.tree:
        write.add(_real(launch.tree.upper))
    if spec.sysfs:
        read.add("/sys")
    return (*((path, "read") for path in sorted(read - write)), *((path, "write") for path in sorted(write)))


def _in_tree(path: str, launch: Launch) -> bool:
    return launch.tree is not None and path.startswith(f"{launch.tree.path}/")


def _real(path: str) -> str:
    return os.path.realpath(path, strict=True)


def _counterparts(source: str, path: str) -> set[str]:
    """The files of the host that have the names of those below `source`."""
    found = set()
    for directory, _, names in os.walk(source):
        place = path + directory[len(source) :]
        found |= {os.path.realpath(f"{place}/{name}") for name in names}
    return {file for file in found if os.path.isfile(file)}
