"""Devices that a spec names: which may be given, and what is done to show them. Pure but for `look`."""

import os
import posixpath
import stat
from collections.abc import Sequence
from typing import NamedTuple

from bldr_linux.plan import Operation

# What `_system` of `compile` makes anew in every sandbox.
_OWN = ("/dev/fd", "/dev/ptmx", "/dev/stderr", "/dev/stdin", "/dev/stdout")
_OWN_BELOW = ("/dev/pts", "/dev/shm", "/dev/fd")  # noqa: S108 - names in the sandbox
# Whoever can open one of these has the machine, not a device.
_FORBIDDEN = {(1, 1): "the machine's memory", (1, 2): "the kernel's memory", (1, 4): "the machine's ports"}


class Node(NamedTuple):
    """What stands at a device's name on the host, links followed; `kind` is "" where there is no device."""

    path: str
    kind: str = ""
    major: int = 0
    minor: int = 0


class UnfitError(Exception):
    """The device cannot be given to an action: (message, hint)."""


def look(paths: Sequence[str]) -> tuple[Node, ...]:
    """What the names stand for now; the launcher refuses what has become another device since."""
    return tuple(_node(path) for path in paths)


def _node(path: str) -> Node:
    try:
        found = os.stat(path)
    except OSError:
        return Node(path)
    for kind, is_kind in (("character", stat.S_ISCHR), ("block", stat.S_ISBLK)):
        if is_kind(found.st_mode):
            return Node(path, kind, os.major(found.st_rdev), os.minor(found.st_rdev))
    return Node(path)


def operations(paths: Sequence[str], nodes: Sequence[Node], given: Sequence[str]) -> tuple[Operation, ...]:
    """Show each of the devices at its own name; `given` are the names that every sandbox has. Raises UnfitError."""
    by_path = {node.path: node for node in nodes}
    wanted = sorted(set(paths) - set(given))
    return tuple(_operation(path, by_path.get(path, Node(path))) for path in wanted)


def _operation(path: str, node: Node) -> Operation:
    if not path.startswith("/dev/") or posixpath.normpath(path) != path:
        raise UnfitError(f'"{path}" cannot be given as a device: it is no name below /dev', "declare files as inputs")
    if path in _OWN or path.startswith(tuple(f"{directory}/" for directory in _OWN_BELOW)) or path in _OWN_BELOW:
        raise UnfitError(f'the host\'s "{path}" cannot be given: the sandbox has its own', "take it away")
    if not node.kind:
        raise UnfitError(f'there is no device "{path}" on this machine', "load its driver, or take it away")
    if node.kind == "character" and (node.major, node.minor) in _FORBIDDEN:
        what = _FORBIDDEN[node.major, node.minor]
        raise UnfitError(f'"{path}" cannot be given: it is {what}', "take it away")
    return ("node", path, path, node.kind, node.major, node.minor)


def sysfs(*, own_network: bool) -> tuple[Operation, ...]:
    """/sys, read-only. A fresh one shows the network of the action's own and none of what is mounted in the host's.

    The kernel makes it only for whoever owns the network: an action on the host's network sees the host's /sys.
    """
    shown: Operation = ("sysfs", "/sys") if own_network else ("bind-sysfs", "/sys", "/sys")
    return (shown, *(("hide", f"/sys/{name}") for name in (_HIDDEN if own_network else (*_HIDDEN, *_HIDDEN_MOUNTS))))


# Firmware tables and boot parameters, addresses of the kernel, and energy counters, which tell what neighbours compute.
_HIDDEN = ("devices/virtual/powercap", "firmware", "kernel/boot_params", "kernel/slab")
# Where other file systems are mounted on the host.
_HIDDEN_MOUNTS = (
    "fs/bpf", "fs/cgroup", "fs/fuse/connections", "fs/pstore", "fs/selinux", "kernel/config", "kernel/debug",
    "kernel/security", "kernel/tracing",
)  # fmt: skip
