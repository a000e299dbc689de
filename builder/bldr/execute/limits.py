"""The limits of actions in people's words: the setting that raises one, and what an action used of each."""

import contextlib
import stat
from collections.abc import Collection, Iterator
from typing import NamedTuple

import msgspec

from bldr.api.sandbox import Level, Verdict
from bldr.api.spec import ResourceLimits
from bldr.execute.result import ActionResult
from bldr.graph.actions import ActionNode
from bldr.system import occupied_bytes, os


class Kind(NamedTuple):
    """One limit: its field in `ResourceLimits`, its unit, its key in a Builderfile, its option, what to do instead."""

    field: str
    unit: str
    setting: str
    option: str
    search: str


KINDS = {
    "memory": Kind("memory_bytes", "bytes", "memory", "--memory", "find out what needs so much memory"),
    "cpu": Kind("cpu_time_s", "s", "cpu_time", "--cpu-time", "find out what computes for so long"),
    "wall-time": Kind("wall_time_s", "s", "timeout", "--timeout", "find out what hangs"),
    "processes": Kind("processes", "", "processes", "--processes", "find out what starts so many"),
    "file-size": Kind("file_bytes", "bytes", "file_size", "--file-size", "find out what writes so large a file"),
    "output": Kind("output_bytes", "bytes", "output", "--output-limit", "find out what writes so much"),
    "disk": Kind("disk_bytes", "bytes", "disk", "--disk-limit", "find out what writes so much"),
    "log": Kind("log_bytes", "bytes", "log", "--log-limit", "find out what prints so much"),
}
"""Every limit that ends an action, by the name that verdicts have for it."""


_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
_DEEPEST = 250  # directories, one descriptor each


class LimitUse(msgspec.Struct, frozen=True, kw_only=True):
    """How far an action used what it was allowed: `used` of `of`, in `unit`; None where nobody counted."""

    limit: str
    used: float | None
    of: float
    unit: str
    level: Level


def limit_uses(result: ActionResult) -> tuple[LimitUse, ...]:
    """Every limit that held for the action, in a fixed order."""
    used = _used(result)
    return tuple(
        LimitUse(
            limit=name,
            used=used.get(name),
            of=result.limits[kind.field],
            unit=kind.unit,
            level=result.isolation.get(name, Level.NONE),
        )
        for name, kind in KINDS.items()
        if kind.field in result.limits
    )


def limit_hint(node: ActionNode, verdict: Verdict) -> str:
    """What to do about an action that was ended by a limit, or for a forbidden system call."""
    limit = verdict.limit
    if limit == "syscall":
        return (
            "no action may make this call; find out what makes it, or let the call fail instead of the action: "
            f'on_violation = "deny" in the table hermetic of "{node.label}" (or --on-violation=deny)'
        )
    if node.test is not None and limit == "wall-time" and limit not in node.permissions.resources.required:
        return f'raise "size" or "timeout" of "{node.label}", or find out what hangs'
    kind = KINDS.get(limit)
    if kind is None:
        return f'raise the limit in the table hermetic of "{node.label}"'
    return f'raise "{kind.setting}" in the table hermetic of "{node.label}" (or {kind.option}), or {kind.search}'


def passed_at_the_end(limits: ResourceLimits, upper: str, log_bytes: int, inputs: Collection[str]) -> Verdict | None:
    """The verdict on what an action had written when it ended: one that is quick passes limits between two looks.

    `upper` is the layer that it wrote, `inputs` are the paths of it that were there before.
    """
    if limits.log_bytes is not None and log_bytes > limits.log_bytes:
        return Verdict("log", limits.log_bytes, log_bytes, "bytes")
    if limits.output_bytes is None and limits.disk_bytes is None:
        return None
    size_bytes = disk_bytes = 0
    seen: set[int] = set()
    for path, status in _files(upper):
        if path not in inputs and status.st_ino not in seen:
            seen.add(status.st_ino)
            size_bytes += status.st_size
            disk_bytes += occupied_bytes(status)
    if limits.output_bytes is not None and size_bytes > limits.output_bytes:
        return Verdict("output", limits.output_bytes, size_bytes, "bytes")
    if limits.disk_bytes is not None and disk_bytes > limits.disk_bytes:
        return Verdict("disk", limits.disk_bytes, disk_bytes, "bytes")
    return None


def _used(result: ActionResult) -> dict[str, float | None]:
    """What was used, by the names of limits."""
    usage, verdict = result.usage, result.verdict
    counted: dict[str, float | None] = {
        "memory": usage.memory_peak_bytes,
        "cpu": usage.cpu_s,
        "wall-time": usage.wall_s,
        "processes": usage.processes,
        "log": result.log.size_bytes if result.log else 0,
    }
    if result.is_ok:
        sizes = [entry.size_bytes for entry in result.outputs if entry.hash]
        counted |= {"file-size": max(sizes, default=0), "output": sum(sizes)}
    if verdict is not None:
        counted[verdict.limit] = verdict.used
    return counted


def _files(top: str) -> Iterator[tuple[str, os.stat_result]]:
    """The regular files below a directory, by their paths in it. No link is followed.

    By descriptor, for a path may be longer than the kernel takes; what lies deeper than `_DEEPEST` was counted while
    the action ran, and can be no output.
    """
    descriptor = os.open(top, _DIRECTORY)
    try:
        yield from _files_in(descriptor, "", 1)
    finally:
        os.close(descriptor)


def _files_in(directory: int, prefix: str, depth: int) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(directory) as found:
        items = list(found)
    for item in items:
        status = os.stat(item.name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            yield prefix + item.name, status
        elif stat.S_ISDIR(status.st_mode) and depth < _DEEPEST:
            with contextlib.suppress(OSError):
                os.chmod(item.name, 0o700, dir_fd=directory)  # the action may have taken our permission away
            descriptor = os.open(item.name, _DIRECTORY, dir_fd=directory)
            try:
                yield from _files_in(descriptor, f"{prefix}{item.name}/", depth + 1)
            finally:
                os.close(descriptor)
