"""Refuses specs that contradict themselves, before anything runs, and names the offending pair."""

import os
import posixpath
import re
from collections.abc import Iterable, Iterator

from bldr.api import GUARANTEES, LIMITS, Bridge, Input, Output, SandboxSpec, SpecError, Temp

_ENV_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_INSTRUCTION_BYTES = 8  # struct sock_filter of linux/filter.h
_MOST_INSTRUCTIONS = 4096  # BPF_MAXINSNS of linux/bpf_common.h
_MOST_WEIGHT = 10000  # cpu.weight of cgroup v2
_BRIDGE_NAME = r"(?!\.\.?$)[^\s/:%]+"  # what the kernel takes as the name of an interface
_MOST_NAME_BYTES = 15
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
_LONGEST_PREFIX = 30
_HOST = r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})"


def check_spec(spec: SandboxSpec) -> None:
    """Raises SpecError; looks at the host's file system only to follow links of sources, where there are outputs."""
    _check_paths(spec)
    _check_one_thing_per_path(spec)
    _check_disjoint(spec.inputs, spec.outputs)
    for output in spec.outputs:
        for temp in spec.temps:
            if _overlap(output.path, temp.path):
                raise SpecError(
                    f'output "{output.path}" and temp "{temp.path}" overlap: scratch is gone after the run',
                    "put the temp, or the output, somewhere else",
                )
    _check_network(spec)
    _check_env(spec)
    _check_devices(spec)
    _check_filters(spec)
    _check_limits(spec)


def below(path: str, above: str) -> str | None:
    """What follows `above` in `path` ("" where they are the same), or None where `path` is not below it."""
    if path == above:
        return ""
    prefix = above.rstrip("/") + "/"
    return "/" + path[len(prefix) :] if path.startswith(prefix) else None


def _overlap(one: str, other: str) -> bool:
    return below(one, other) is not None or below(other, one) is not None


def _is_normal(path: str) -> bool:
    """In the sandbox, where paths are those of POSIX."""
    return path.startswith("/") and not path.startswith("//") and "\0" not in path and posixpath.normpath(path) == path


def _is_normal_source(path: str) -> bool:
    """On the host, where they are its own."""
    return _is_normal(path) or (
        "\0" not in path and not path.startswith("//") and os.path.isabs(path) and os.path.normpath(path) == path
    )


def _places(spec: SandboxSpec) -> Iterator[tuple[str, Input | Output]]:
    yield from (("input", place) for place in spec.inputs)
    yield from (("output", place) for place in spec.outputs)


def _standing(spec: SandboxSpec) -> Iterator[tuple[str, str]]:
    """Everything that stands at a path of the sandbox, as pairs of kind and path."""
    yield from ((kind, place.path) for kind, place in _places(spec))
    yield from (("temp", temp.path) for temp in spec.temps)
    yield from (("link", link.path) for link in spec.links)
    yield from (("file", file.path) for file in spec.files)


def _check_paths(spec: SandboxSpec) -> None:
    for kind, path in _standing(spec):
        if not _is_normal(path):
            raise _not_normal(kind, path)
    for kind, place in _places(spec):
        if place.source and not _is_normal_source(place.source):
            raise _not_normal(f"source of {kind}", place.source)
    for kind, path in _standing(spec):
        if path == "/" and kind != "input":
            raise SpecError(f'{kind} "/" would replace the sandbox itself', "name a directory below it")
        own = path == "/dev" or below(path, "/proc") is not None or (spec.sysfs and below(path, "/sys") is not None)
        if own:
            raise SpecError(f'{kind} "{path}" would replace the sandbox\'s own', "leave it out: every sandbox has it")
    for link in spec.links:
        if not link.target or "\0" in link.target:
            raise SpecError(f'link "{link.path}" has no valid target')


def _not_normal(kind: str, path: str) -> SpecError:
    return SpecError(f'{kind} "{path}" is not an absolute, normal path', "start with / and leave out . and ..")


def _check_one_thing_per_path(spec: SandboxSpec) -> None:
    seen: dict[str, tuple[str, object]] = {}
    things: Iterable[tuple[str, Input | Output | Temp | object, str]] = (
        *(("input", (place.source or place.path), place.path) for place in spec.inputs),
        *(("output", (place.source or place.path), place.path) for place in spec.outputs),
        *(("temp", temp, temp.path) for temp in spec.temps),
        *(("link", link, link.path) for link in spec.links),
        *(("file", file, file.path) for file in spec.files),
    )
    for kind, value, path in things:
        other = seen.setdefault(path, (kind, value))
        if other == (kind, value):
            continue
        if {kind, other[0]} == {"input", "output"}:
            raise _not_disjoint(path, path)
        raise SpecError(f'{other[0]} "{path}" and another {kind} "{path}": one path, two things', "keep one of them")


def _check_disjoint(inputs: tuple[Input, ...], outputs: tuple[Output, ...]) -> None:
    """By path, and on the host through symbolic links too."""
    if not outputs:
        return
    for output in outputs:
        for place in inputs:
            if _overlap(place.path, output.path):
                raise _not_disjoint(place.path, output.path)
    read = [(place, os.path.realpath(place.source or place.path)) for place in inputs]
    written = [(place, os.path.realpath(place.source or place.path)) for place in outputs]
    for output, target in written:
        for place, source in read:
            if _overlap(source, target):
                raise _not_disjoint(place.path, output.path, f' through a link or source: "{source}" and "{target}"')


def _not_disjoint(input_path: str, output_path: str, why: str = "") -> SpecError:
    return SpecError(
        f'input "{input_path}" and output "{output_path}" overlap{why}',
        "declare the inputs one by one, or write to a directory of its own",
    )


def _check_network(spec: SandboxSpec) -> None:
    if spec.network.host and spec.network.hosts:
        raise SpecError(
            f'the host\'s own network and the single host "{spec.network.hosts[0]}" are both allowed',
            "keep one of them",
        )
    for host in spec.network.hosts:
        match = re.fullmatch(_HOST, host)
        if match is None or not 0 < int(match[1]) < 65536:
            raise SpecError(f'host "{host}" is not of the form "host:port"', 'for example "pypi.org:443"')
    if spec.network.bridge is not None:
        if spec.network.host or spec.network.hosts:
            what = f'the single host "{spec.network.hosts[0]}"' if spec.network.hosts else "the host's own network"
            raise SpecError(f'the bridge "{spec.network.bridge.name}" and {what} are both allowed', "keep one of them")
        _check_bridge(spec.network.bridge)


def _check_bridge(bridge: Bridge) -> None:
    from ipaddress import IPv4Network  # few specs have a bridge, and every build starts with this module

    name = bridge.name
    if not name.isprintable() or not re.fullmatch(_BRIDGE_NAME, name) or len(name.encode()) > _MOST_NAME_BYTES:
        raise SpecError(
            f'"{name}" cannot name a bridge', f"use up to {_MOST_NAME_BYTES} letters, digits, `-`, `_` and `.`"
        )
    try:
        subnet = IPv4Network(bridge.subnet)
    except ValueError as error:
        raise SpecError(f'"{bridge.subnet}" is no IPv4 subnet: {error}', 'for example "10.213.0.0/16"') from None
    if subnet.prefixlen > _LONGEST_PREFIX or not any(subnet.subnet_of(IPv4Network(block)) for block in _PRIVATE):
        raise SpecError(
            f'"{subnet}" is no private subnet with room for a sandbox',
            f"use one inside {', '.join(_PRIVATE)}, with a prefix of /{_LONGEST_PREFIX} or shorter",
        )


def _check_env(spec: SandboxSpec) -> None:
    values: dict[str, str] = {}
    for name, value in spec.env:
        if not re.fullmatch(_ENV_NAME, name):
            raise SpecError(f'environment name "{name}" is not valid', "use letters, digits and _, no digit first")
        if "\0" in value:
            raise SpecError(f"the value of environment variable {name} has a zero byte in it")
        if values.setdefault(name, value) != value:
            raise SpecError(f'environment variable {name} is both "{values[name]}" and "{value}"', "keep one of them")


def _check_devices(spec: SandboxSpec) -> None:
    for device in spec.devices:
        if not _is_normal(device) or not below(device, "/dev"):
            raise SpecError(f'device "{device}" is not a normal path below /dev', 'for example "/dev/dri/renderD128"')
        for kind, path in _standing(spec):
            if path != "/" and _overlap(device, path):
                raise SpecError(
                    f'device "{device}" and {kind} "{path}" overlap: one path, two things', "keep one of them"
                )


def _check_filters(spec: SandboxSpec) -> None:
    for number, program in enumerate(spec.filters, 1):
        count, rest = divmod(len(program), _INSTRUCTION_BYTES)
        if rest or not 0 < count <= _MOST_INSTRUCTIONS:
            raise SpecError(
                f"filter {number} has {len(program)} bytes, which is no program",
                f"it is an array of 1 to {_MOST_INSTRUCTIONS} struct sock_filter of {_INSTRUCTION_BYTES} bytes each",
            )


def _check_limits(spec: SandboxSpec) -> None:
    limits = spec.resources
    bounds = {name: getattr(limits, name) for name in limits.__struct_fields__ if name != "required"}
    bounds["max_children"] = spec.process.max_children
    for name, value in bounds.items():
        if value is not None and (not value >= 0 or (value == 0 and name not in ("grace_s", "max_children"))):
            raise SpecError(f"limit {name} is {value:g}, which allows nothing", "leave it out for no limit")
    if limits.cpu_weight is not None and limits.cpu_weight > _MOST_WEIGHT:
        raise SpecError(
            f"limit cpu_weight is {limits.cpu_weight}", f"weights go from 1 to {_MOST_WEIGHT}; others have 100"
        )
    for name in sorted(limits.required - {*GUARANTEES, *LIMITS}):
        raise SpecError(f'there is no limit "{name}" to require', f"the limits are: {', '.join(LIMITS)} and wall-time")
    for temp in spec.temps:
        if temp.size_bytes < 0:
            raise SpecError(f'the size of temp "{temp.path}" is negative')
