"""The algebra of specs: which of two allows more, what both allow, what either allows. Pure.

What a spec permits is a set: reading and writing of host files at sandbox paths (an input or output permits everything
below it), scratch space up to a size at a path, names that it makes up (links and files), hosts, environment entries,
devices, the kernel's view of them in /sys, and use of resources up to each limit; a filter of system calls takes
permissions away. `stricter_than` is "subset of", so it is a preorder on specs as they are written
and a partial order on what they permit; `intersection` is the greatest lower bound and `union` the least upper bound.
An input below another adds to it; it is no way to hide what the other permits.

Who the action is (uid, gid, user, host name, umask, pid 1 or not) is no permission: specs that differ in it have no
common bound.
A union may be contradictory although both sides are not (one reads what the other writes), and so, where sources cross,
may an intersection (each shows at a path what the other shows from a directory above). All three raise SpecError.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

import msgspec

from bldr.api import Bridge, Input, NetworkPolicy, Output, ProcessPolicy, ResourceLimits, SandboxSpec, SpecError, Temp
from bldr.hermetic.check import below, check_spec

_IDENTITY = ("uid", "gid", "user", "hostname", "umask", "as_pid_1")
_BOUNDS = tuple(name for name in ResourceLimits.__struct_fields__ if name != "required")
_NO_BOUND = float("inf")
_Place = TypeVar("_Place", Input, Output)


class _Cone(NamedTuple):
    """Everything at and below `path`, which is `host` on the machine."""

    path: str
    host: str

    def contains(self, other: "_Cone") -> bool:
        rest = below(other.path, self.path)
        return rest is not None and below(other.host, self.host) == rest


def normal(spec: SandboxSpec) -> SandboxSpec:
    """The same spec written in one way: every set sorted, without repetitions, no source where it is the path."""
    return msgspec.structs.replace(
        spec,
        inputs=_sorted(map(_without_own_source, spec.inputs)),
        outputs=_sorted(map(_without_own_source, spec.outputs)),
        temps=_sorted(spec.temps),
        links=_sorted(spec.links),
        files=_sorted(spec.files),
        env=_sorted(spec.env),
        devices=_sorted(spec.devices),
        filters=_sorted(spec.filters),
        network=msgspec.structs.replace(spec.network, hosts=_sorted(spec.network.hosts)),
    )


def stricter_than(a: SandboxSpec, b: SandboxSpec) -> bool:
    """Whether everything that `a` permits is permitted by `b` too; every spec is stricter than itself."""
    return (
        all(any(wide.contains(cone) for wide in _readable(b)) for cone in _readable(a))
        and all(any(wide.contains(cone) for wide in _writable(b)) for cone in _writable(a))
        and all(any(_temp_contains(wide, temp) for wide in b.temps) for temp in a.temps)
        and set(a.links) <= set(b.links)
        and set(a.files) <= set(b.files)
        and set(a.env) <= set(b.env)
        and set(a.devices) <= set(b.devices)
        and a.sysfs <= b.sysfs
        and set(a.filters) >= set(b.filters)
        and _network_stricter(a.network, b.network)
        and all(_bound(a.resources, name) <= _bound(b.resources, name) for name in _BOUNDS)
        and a.resources.required >= b.resources.required
        and _process_stricter(a.process, b.process)
    )


def equivalent(a: SandboxSpec, b: SandboxSpec) -> bool:
    """Whether both permit exactly the same."""
    return stricter_than(a, b) and stricter_than(b, a)


def union(a: SandboxSpec, b: SandboxSpec) -> SandboxSpec:
    """The strictest spec that permits what `a` and `b` permit; SpecError where that contradicts itself."""
    outputs = _outputs([*a.outputs, *b.outputs])
    written = [_cone(place) for place in outputs]
    inputs = [place for place in (*a.inputs, *b.inputs) if not any(wide.contains(_cone(place)) for wide in written)]
    joined = SandboxSpec(
        inputs=tuple(inputs),
        outputs=outputs,
        temps=_join_temps((*a.temps, *b.temps)),
        links=(*a.links, *b.links),
        files=(*a.files, *b.files),
        env=(*a.env, *b.env),
        devices=(*a.devices, *b.devices),
        sysfs=a.sysfs or b.sysfs,
        filters=tuple(set(a.filters) & set(b.filters)),
        network=_join_network(a.network, b.network),
        resources=_combine(a.resources, b.resources, max, a.resources.required & b.resources.required),
        process=_combine_process(a.process, b.process, max, all, any),
    )
    return _checked(joined)


def intersection(a: SandboxSpec, b: SandboxSpec) -> SandboxSpec:
    """The most that both permit. SpecError where they disagree about who the action is or what stands at a path."""
    directories = {cone for place in (*a.outputs, *b.outputs) if place.is_directory for cone in [_cone(place)]}
    written = _common(_writable(a), _writable(b))
    read = [cone for cone in _common(_readable(a), _readable(b)) if not any(wide.contains(cone) for wide in written)]
    common = SandboxSpec(
        inputs=tuple(Input(cone.path, cone.host) for cone in read),
        outputs=tuple(Output(cone.path, cone.host, cone in directories) for cone in written),
        temps=_meet_temps(a.temps, b.temps),
        links=tuple(set(a.links) & set(b.links)),
        files=tuple(set(a.files) & set(b.files)),
        env=tuple(set(a.env) & set(b.env)),
        devices=tuple(set(a.devices) & set(b.devices)),
        sysfs=a.sysfs and b.sysfs,
        filters=(*a.filters, *b.filters),
        network=_meet_network(a.network, b.network),
        resources=_combine(a.resources, b.resources, min, a.resources.required | b.resources.required),
        process=_combine_process(a.process, b.process, min, any, all),
    )
    return _checked(common)


def _checked(spec: SandboxSpec) -> SandboxSpec:
    check_spec(spec)
    return normal(spec)


def _sorted(values: Iterable[msgspec.Struct | tuple[str, str] | str | bytes]) -> tuple:  # type: ignore[type-arg]
    """Each value once, in order; the element type is the caller's."""
    return tuple(sorted(set(values)))


def _without_own_source(place: _Place) -> _Place:
    return msgspec.structs.replace(place, source="") if place.source == place.path else place


def _cone(place: Input | Output) -> _Cone:
    return _Cone(place.path, place.source or place.path)


def _readable(spec: SandboxSpec) -> list[_Cone]:
    return [*map(_cone, spec.inputs), *map(_cone, spec.outputs)]


def _writable(spec: SandboxSpec) -> list[_Cone]:
    return [_cone(place) for place in spec.outputs]


def _common(one: list[_Cone], other: list[_Cone]) -> list[_Cone]:
    """Two cones have a cone in common or nothing: the narrower of the two."""
    lower = [b for a in one for b in other if a.contains(b)]
    return lower + [a for a in one for b in other if b.contains(a)]


def _outputs(places: list[Output]) -> tuple[Output, ...]:
    """One output per place; a directory in one spec is a directory in both."""
    directories = {_cone(place): any(_cone(place) == _cone(p) and p.is_directory for p in places) for place in places}
    return tuple(Output(cone.path, cone.host, is_directory) for cone, is_directory in directories.items())


def _temp_size(temp: Temp) -> float:
    return temp.size_bytes or _NO_BOUND


def _temp_contains(wide: Temp, temp: Temp) -> bool:
    return below(temp.path, wide.path) is not None and _temp_size(temp) <= _temp_size(wide)


def _join_temps(temps: tuple[Temp, ...]) -> tuple[Temp, ...]:
    largest: dict[str, Temp] = {}
    for temp in temps:
        if temp.path not in largest or _temp_size(temp) > _temp_size(largest[temp.path]):
            largest[temp.path] = temp
    return tuple(largest.values())


def _meet_temps(one: tuple[Temp, ...], other: tuple[Temp, ...]) -> tuple[Temp, ...]:
    common = []
    for a in one:
        for b in other:
            smaller = min(a, b, key=_temp_size).size_bytes
            if below(a.path, b.path) is not None:
                common.append(Temp(a.path, smaller))
            elif below(b.path, a.path) is not None:
                common.append(Temp(b.path, smaller))
    return _join_temps(tuple(common))


def _network_stricter(a: NetworkPolicy, b: NetworkPolicy) -> bool:
    """The host's own network reaches every host and every bridge; bridges compare only with themselves, by NAT."""
    if a.host or b.host:
        return b.host
    if a.bridge is not None:
        return b.bridge is not None and _same_bridge(a.bridge, b.bridge) and a.bridge.nat <= b.bridge.nat
    return set(a.hosts) <= set(b.hosts)


def _same_bridge(a: Bridge, b: Bridge) -> bool:
    return (a.name, a.subnet) == (b.name, b.subnet)


def _join_network(a: NetworkPolicy, b: NetworkPolicy) -> NetworkPolicy:
    """What only the host's own network has in it is joined to that."""
    if a.bridge is not None and b.bridge is not None and _same_bridge(a.bridge, b.bridge):
        return a if a.bridge.nat else b
    if NetworkPolicy() in (a, b):
        return b if a == NetworkPolicy() else a
    if a.host or b.host or a.bridge is not None or b.bridge is not None:
        return NetworkPolicy(host=True)
    return NetworkPolicy((*a.hosts, *b.hosts))


def _meet_network(a: NetworkPolicy, b: NetworkPolicy) -> NetworkPolicy:
    if a.host or b.host:
        return b if a.host else a
    if a.bridge is not None and b.bridge is not None and _same_bridge(a.bridge, b.bridge):
        return b if a.bridge.nat else a
    return NetworkPolicy(tuple(set(a.hosts) & set(b.hosts)))


def _bound(limits: ResourceLimits, name: str) -> float:
    value = getattr(limits, name)
    return _NO_BOUND if value is None else value


def _combine(
    a: ResourceLimits, b: ResourceLimits, pick: Callable[[float, float], float], required: frozenset[str]
) -> ResourceLimits:
    bounds = {name: pick(_bound(a, name), _bound(b, name)) for name in _BOUNDS}
    return ResourceLimits(
        **{name: None if bound == _NO_BOUND else bound for name, bound in bounds.items()},  # type: ignore[arg-type]
        required=required,
    )


def _process_stricter(a: ProcessPolicy, b: ProcessPolicy) -> bool:
    return (
        all(getattr(a, name) == getattr(b, name) for name in _IDENTITY)
        and _children(a) <= _children(b)
        and a.kill_on_parent_exit >= b.kill_on_parent_exit
        and a.map_caller <= b.map_caller
        and _kills(a) >= _kills(b)
    )


def _kills(policy: ProcessPolicy) -> bool:
    return policy.on_violation == "kill"


def _children(policy: ProcessPolicy) -> float:
    return _NO_BOUND if policy.max_children is None else policy.max_children


def _combine_process(
    a: ProcessPolicy,
    b: ProcessPolicy,
    pick: Callable[[float, float], float],
    pick_duty: Callable[[Iterable[bool]], bool],
    pick_right: Callable[[Iterable[bool]], bool],
) -> ProcessPolicy:
    for name in _IDENTITY:
        if getattr(a, name) != getattr(b, name):
            raise SpecError(f"{name} {getattr(a, name)!r} and {name} {getattr(b, name)!r}: an action is one user")
    children = pick(_children(a), _children(b))
    return msgspec.structs.replace(
        a,
        max_children=None if children == _NO_BOUND else int(children),
        kill_on_parent_exit=pick_duty((a.kill_on_parent_exit, b.kill_on_parent_exit)),
        map_caller=pick_right((a.map_caller, b.map_caller)),
        on_violation="kill" if pick_duty((_kills(a), _kills(b))) else "deny",
    )
