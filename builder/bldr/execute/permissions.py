"""Permissions: what a target's actions may use, merged from command line, environment, target, package, workspace."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from bldr.api.attributes import HermeticSettings, TestAttributes
from bldr.api.spec import NetworkPolicy, ResourceLimits
from bldr.graph.actions import Permissions
from bldr.graph.tests import test_timeout_s
from bldr.load.targets import Target
from bldr.load.units import parse_duration, parse_size

_FILE_BYTES = 4 << 30
"""Default bound of one file: a sparse one that is larger costs minutes to hash and fills a disk when it is copied."""

_LOG_BYTES = 256 << 20
"""Default bound of what an action prints, more than is kept: who passes it prints without end."""

_LIMIT_OF = {
    "memory": "memory",
    "cpu_time": "cpu",
    "cpus": "cpu-share",
    "processes": "processes",
    "file_size": "file-size",
    "output": "output",
    "disk": "disk",
    "log": "log",
    "timeout": "wall-time",
}
"""The setting, and the name of the limit that the platform enforces for it. Those that are missing meet an action with
an error, wherever it runs."""


def merge_permissions(target: Target, asked: HermeticSettings) -> Permissions:
    """`asked` are the settings of the command line and the environment; the target's are merged over its package's and
    workspace's already. A limit that nobody set has its hermetic default, and is not demanded."""
    return _merged(target.hermetic, asked, None)


def test_permissions(target: Target, asked: HermeticSettings, timeouts: Mapping[str, str | int]) -> Permissions:
    """The same for the runs of a test, which end after a while. `timeouts` are those of the command line, by size; what
    the test itself says is nearer to it than what its package and its workspace say of all actions."""
    attributes, settings = target.attributes, target.hermetic
    assert isinstance(attributes, TestAttributes)
    if attributes.size in timeouts:
        asked = msgspec.structs.replace(asked, timeout=timeouts[attributes.size])
    if attributes.timeout is not None and attributes.hermetic.timeout is None and settings.timeout is not None:
        settings = msgspec.structs.replace(settings, timeout=None)
    return _merged(settings, asked, test_timeout_s(attributes))


@lru_cache(maxsize=1024)  # most targets say nothing of their own, and share what their package says
def _merged(settings: HermeticSettings, asked: HermeticSettings, test_timeout_s: float | None) -> Permissions:
    said = {name: _first(getattr(asked, name), getattr(settings, name)) for name in asked.__struct_fields__}
    defaults = msgspec.structs.replace(ResourceLimits.hermetic(), file_bytes=_FILE_BYTES, log_bytes=_LOG_BYTES)
    if test_timeout_s is not None:
        defaults = msgspec.structs.replace(defaults, wall_time_s=test_timeout_s)
    return Permissions(
        sandboxed=said["enabled"] is not False,
        network=_network(said["network"]),
        resources=merge_limits(HermeticSettings(**said), defaults),
        root=bool(said["root"]),
        devices=tuple(sorted(set(said["devices"] or ()))),
        on_violation=said["on_violation"] or "deny",
    )


def merge_limits(said: HermeticSettings, defaults: ResourceLimits) -> ResourceLimits:
    """The limits that settings set, and for the rest the defaults; what was said and ends actions is demanded."""
    return ResourceLimits(
        memory_bytes=_size(said.memory) or defaults.memory_bytes,
        cpu_time_s=_duration(said.cpu_time) or defaults.cpu_time_s,
        cpus=said.cpus or defaults.cpus,
        wall_time_s=_duration(said.timeout) or defaults.wall_time_s,
        grace_s=_duration(said.grace) or defaults.grace_s,
        processes=said.processes or defaults.processes,
        open_files=said.open_files or defaults.open_files,
        file_bytes=_size(said.file_size) or defaults.file_bytes,
        output_bytes=_size(said.output) or defaults.output_bytes,
        disk_bytes=_size(said.disk) or defaults.disk_bytes,
        log_bytes=_size(said.log) or defaults.log_bytes,
        temp_bytes=_size(said.temp) or defaults.temp_bytes,
        required=frozenset(limit for name, limit in _LIMIT_OF.items() if getattr(said, name) is not None),
    )


def _network(said: bool | tuple[str, ...] | None) -> NetworkPolicy:
    if said is True:
        return NetworkPolicy(host=True)
    return NetworkPolicy.allow_hosts(list(said)) if said else NetworkPolicy()


def _first(one: Any, other: Any) -> Any:
    return other if one is None else one


def _size(said: str | int | None) -> int | None:
    return None if said is None else parse_size(said)


def _duration(said: str | int | None) -> float | None:
    return None if said is None else parse_duration(said)
