"""Results: what an action left behind, as it is stored and as its dependents see it."""

import re
from functools import lru_cache

import msgspec

from bldr.api.actions import Artifact
from bldr.api.sandbox import Isolation, Usage, Verdict
from bldr.graph.actions import ActionNode
from bldr.plan.entries import Entry
from bldr.store.digest import Digest

_HASH = re.compile("[0-9a-f]{64}")


class ActionResult(msgspec.Struct, frozen=True, kw_only=True):
    """One ended action. `status` is as in `bldr.api.events.ActionFinished`; only results that are ok are stored.

    `outputs` are the entries of all declared outputs in the order of their paths, `reads` the tree paths that the
    depfile names, in order (None where there is no depfile).
    """

    status: str
    exit_code: int = 0
    outputs: tuple[Entry, ...] = ()
    reads: tuple[str, ...] | None = None
    log: Digest | None = None
    duration_s: float = 0.0
    usage: Usage = Usage()
    isolation: Isolation = {}
    limits: dict[str, float] = {}
    verdict: Verdict | None = None
    message: str = ""
    hint: str = ""

    @property
    def is_ok(self) -> bool:
        return self.status == "ok"

    def blobs(self) -> list[Digest]:
        """Every blob that the result needs to be whole."""
        found = [Digest(entry.hash, entry.size_bytes) for entry in self.outputs if entry.hash]
        return [*found, self.log] if self.log else found

    def entries_of(self, artifact: Artifact) -> tuple[Entry, ...]:
        """The entries of one output: itself, or all that stands in the directory."""
        if len(self.outputs) == 1 and self.outputs[0].path == artifact.path:
            return self.outputs
        inside = artifact.path + "/"
        return tuple(entry for entry in self.outputs if entry.path == artifact.path or entry.path.startswith(inside))


def encode(result: ActionResult) -> bytes:
    return msgspec.msgpack.encode(result)


def decode_checked(data: bytes, node: ActionNode) -> ActionResult | None:
    """The stored result of `node`, or None where it is not one: what comes from a cache is believed only as far as it
    keeps to what the action declares."""
    try:
        result = msgspec.msgpack.decode(data, type=ActionResult)
    except msgspec.MsgspecError:
        return None
    return result if result.is_ok and _keeps_to(result, node) else None


def _keeps_to(result: ActionResult, node: ActionNode) -> bool:
    if len(result.outputs) == len(node.action.outputs) == 1:  # as of most actions; what was declared is a normal path
        output, entry = node.action.outputs[0], result.outputs[0]
        if not output.is_directory and entry.path == output.path and not entry.link and _HASH.fullmatch(entry.hash):
            return True
    files = {output.path for output in node.action.outputs if not output.is_directory}
    directories = tuple(output.path for output in node.action.outputs if output.is_directory)
    seen: set[str] = set()
    for entry in result.outputs:
        parts = entry.path.split("/")
        if "" in parts or "." in parts or ".." in parts or "\0" in entry.path or entry.path in seen:
            return False
        if entry.hash and (not _HASH.fullmatch(entry.hash) or entry.link):
            return False
        if entry.link.startswith("/"):
            return False
        inside = any(entry.path == root or entry.path.startswith(f"{root}/") for root in directories)
        if not inside and (entry.path not in files or not (entry.hash or entry.link)):
            return False
        seen.add(entry.path)
    if any(parent in seen and not _is_directory(result, parent) for path in seen for parent in _parents(path)):
        return False
    return not (files - seen - node.optional_outputs - {node.action.depfile})


def _is_directory(result: ActionResult, path: str) -> bool:
    return any(entry.path == path and not entry.hash and not entry.link for entry in result.outputs)


def _parents(path: str) -> list[str]:
    found = []
    while path := path.rpartition("/")[0]:
        found.append(path)
    return found


def limits_of(resources: object) -> dict[str, float]:
    """The numeric limits of a `ResourceLimits`, by field name, for events and records: whoever gets them has their
    own."""
    return dict(_shared_limits_of(resources))


@lru_cache(maxsize=256)
def _shared_limits_of(resources: object) -> dict[str, float]:
    """Most actions have the same ones."""
    return {
        name: float(value)
        for name in getattr(resources, "__struct_fields__", ())
        if isinstance(value := getattr(resources, name), int | float) and name != "grace_s"
    }
