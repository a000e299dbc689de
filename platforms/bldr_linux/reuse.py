"""Which part of a launch a cell may keep for the next one: pure, and remembered, because most launches are alike.

What is kept is never writable for an action: inputs, devices, links and small files below a root that is sealed. What
is made anew for every launch is whatever can be written, the kernel's views, and what belongs to one action alone: its
tree, and inputs that were staged beside it. A launch that wants anything else has a sandbox made for itself alone.
"""

import marshal
import posixpath
from typing import Any, NamedTuple

from bldr.api import Isolation, Launch, StagedTree
from bldr_linux.compile import NODES_OF_DEV, Host, command_of, compile_launch, measured, places, reached, source_of
from bldr_linux.plan import Base, Operation, Plan

_KEPT, _FRESH, _OWN = range(3)
_RANKS = {
    "dir": _KEPT, "bind": _KEPT, "device": _KEPT, "link": _KEPT, "file": _KEPT, "cover": _KEPT,
    "proc": _FRESH, "mask": _FRESH, "pts": _FRESH, "tmpfs": _FRESH,
    "overlay": _OWN,
}  # fmt: skip
# What may be done in a copy of the kept root, which has no way to the host any more.
_POSSIBLE = {_FRESH: ("proc", "mask", "pts", "tmpfs", "link"), _OWN: ("overlay", "bind")}
_REMEMBERED_AT_MOST = 256


class Compiled(NamedTuple):
    """One launch: its plan, what a cell is to keep for it and a key of that (None, b"": nothing), what it reaches."""

    plan: Plan
    base: Base | None
    key: bytes
    isolation: Isolation


class _Alike(NamedTuple):
    """What launches of one kind have in common; sources in `own` are names beside the tree's layers."""

    plan: Plan
    base: Base
    key: bytes
    isolation: Isolation
    own: tuple[Operation, ...]


class Compiler:
    """Compiles launches for one host; owns what it remembers of earlier ones."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._alike: dict[object, _Alike] = {}

    def compile(self, launch: Launch, host: Host) -> Compiled:
        """The plan of a launch; `host` is the compiler's own, with what is true at this moment. Raises RefusedError."""
        kind = _kind(launch) if host == self._host else None
        if kind is None:
            return _alone(launch, host)
        alike = self._alike.get(kind)
        if alike is None:
            plan = compile_launch(launch, host)
            divided = divide(plan, launch.tree, host)
            if divided is None:
                return Compiled(plan, None, b"", reached(launch.spec, host))
            base, own = divided
            content: tuple[Any, ...] = (base,)
            alike = _Alike(plan, base, marshal.dumps(content), reached(launch.spec, host), own)
            if len(self._alike) >= _REMEMBERED_AT_MOST:
                self._alike.clear()
            self._alike[kind] = alike
        return Compiled(self._plan(launch, alike), alike.base, alike.key, alike.isolation)

    def _plan(self, launch: Launch, alike: _Alike) -> Plan:
        argv, env, cwd = command_of(launch)
        plan = alike.plan.copy()
        plan["operations"] = tuple(_for_launch(operation, launch.tree, self._host) for operation in alike.own)
        plan["landlock"] = places(plan["operations"])
        plan["measured"] = measured(launch, self._host)
        plan["argv"], plan["env"], plan["cwd"] = argv, env, cwd
        plan["into"], plan["announce"] = launch.into, launch.announce
        return plan


def _alone(launch: Launch, host: Host) -> Compiled:
    return Compiled(compile_launch(launch, host), None, b"", reached(launch.spec, host))


def _kind(launch: Launch) -> object | None:
    """What launches of the same kind have in common, as a key; None for one that is of no kind."""
    spec, tree = launch.spec, launch.tree
    inside = f"{tree.path}/" if tree else "\0"
    if not launch.argv or spec.devices or not all(output.path.startswith(inside) for output in spec.outputs):
        return None
    beside = _beside(tree)
    inputs: object = spec.inputs
    if tree and any(item.source.startswith(beside) for item in spec.inputs):
        inputs = tuple((item.path, item.source.replace(beside, "\0", 1)) for item in spec.inputs)
    own_outputs = bool(spec.outputs) and tree is not None
    return (
        inputs, spec.temps, spec.network, spec.links, spec.files, spec.sysfs, spec.filters, spec.resources,
        spec.process, tree.path if tree else "", bool(tree and tree.lower), own_outputs,
    )  # fmt: skip


def _beside(tree: StagedTree | None) -> str:
    return f"{posixpath.dirname(tree.upper)}/" if tree else "\0"


def divide(plan: Plan, tree: StagedTree | None, host: Host) -> tuple[Base, tuple[Operation, ...]] | None:
    """What a cell may keep of a plan, and what is the launch's own; None where it is to keep nothing."""
    if host.is_root or plan["uid"] == 0 or plan["gid"] == 0 or not plan["own_network"] or plan["waits"]:
        return None
    if plan["as_pid_1"] or plan["outlives"]:
        return None
    beside = f"{source_of(posixpath.dirname(tree.upper), host)}/" if tree else "\0"
    parts: tuple[list[Operation], ...] = ([], [], [])
    mounted: dict[str, int] = {}
    queues = ""
    for operation in plan["operations"]:
        name, path = operation[:2]
        if name == "seal":
            continue
        rank = above = max((known for place, known in mounted.items() if path.startswith(f"{place}/")), default=_KEPT)
        is_tree = tree is not None and path == tree.path
        if name not in _RANKS or (name == "bind" and operation[3] != "ro" and not is_tree):
            return None
        is_own = name == "bind" and operation[2].startswith(beside)
        rank = max(_OWN if is_own else _RANKS[name], above)
        if rank != _KEPT:
            if name not in _POSSIBLE[rank] or (name == "bind" and not is_own):
                return None
            if name not in ("link", "mask"):
                mounted[path] = rank
                if above == _KEPT:
                    parts[_KEPT].append(("point", path, name))
                    queues = queues or (path if name == "tmpfs" else "")  # /dev/shm, which every sandbox has
        if is_own:
            operation = (name, path, operation[2].removeprefix(beside), operation[3])
        parts[rank].append(operation)
    kept, fresh, own = parts
    base = Base(
        uid=plan["uid"],
        gid=plan["gid"],
        hostname=plan["hostname"],
        # A file that is laid over another has no name of its own, and keeps its file system from being made read-only.
        kept=(*kept, ("seal" if any(name == "cover" for name, *_ in kept) else "freeze", "/")),
        fresh=tuple(fresh),
        queues=queues,
        landlock=(("", "queues"), *places((NODES_OF_DEV, *fresh))),
        control=plan["control"],
        on_violation=plan["on_violation"],
    )
    return base, tuple(own)


def _for_launch(operation: Operation, tree: StagedTree | None, host: Host) -> Operation:
    assert tree is not None
    name, path, *arguments = operation
    if name == "overlay":
        return (name, path, *(source_of(layer, host) for layer in (tree.lower, tree.upper, tree.work)))
    source, access = arguments
    place = tree.upper if path == tree.path else _beside(tree) + source
    return (name, path, source_of(place, host), access)
