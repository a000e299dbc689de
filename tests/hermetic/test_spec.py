"""The algebra is that of sets of permissions: proven against a model that lists every permission one by one."""

import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bldr.api import Bridge, Input, NetworkPolicy, Output, ProcessPolicy, ResourceLimits, SandboxSpec, SpecError, Temp
from bldr.hermetic import check_spec, equivalent, intersection, normal, stricter_than, union

MOST_NAMES = 3
SUFFIXES = [
    "".join(f"/{name}" for name in names)
    for depth in range(MOST_NAMES)
    for names in itertools.product("xy", repeat=depth)
]
HOSTS = {"h:1", "i:2", "j:3"}
BOUNDS = {"memory_bytes", "cpu_time_s", "cpus", "log_bytes", "processes"}
FILTERS = {b"filter 1", b"filter 2"}
MORE_THAN_ALL = 4


def permissions(spec):
    """Every single thing that a spec permits, in a world of few names and small numbers."""
    found = set()
    for kind, places in (("read", spec.inputs), ("read", spec.outputs), ("write", spec.outputs)):
        for place, suffix in within(places):
            found.add((kind, place.path + suffix, (place.source or place.path) + suffix))
    for temp, suffix in within(spec.temps):
        found.update(("scratch", temp.path + suffix, size) for size in up_to(temp.size_bytes or None))
    found.update(("link", link) for link in spec.links)
    found.update(("file", file) for file in spec.files)
    found.update(("env", entry) for entry in spec.env)
    found.update(network_permissions(spec.network))
    for name in BOUNDS:
        found.update((name, use) for use in up_to(getattr(spec.resources, name)))
    found.update(("unenforced", name) for name in {"memory", "cpu", "processes"} - spec.resources.required)
    found.update(("use", device) for device in spec.devices)
    if spec.sysfs:
        found.add("see /sys")
    found.update(("call what is refused by", program) for program in FILTERS - set(spec.filters))
    if spec.process.on_violation == "deny":
        found.add("live after a forbidden call")
    found.update(("children", count) for count in up_to(spec.process.max_children))
    if not spec.process.kill_on_parent_exit:
        found.add("outlive the parent")
    if spec.process.map_caller:
        found.add("be the caller")
    return found


def network_permissions(network):
    bridges = [Bridge(name) for name in "bcd"] if network.host else [network.bridge] if network.bridge else []
    yield from (("connect", host) for host in (HOSTS if network.host else network.hosts))
    yield from (("meet on", bridge.name) for bridge in bridges)
    yield from (("leave", bridge.name) for bridge in bridges if bridge.nat)


def within(things):
    """What is at and below each thing, as far down as the model's world goes."""
    pairs = itertools.product(things, SUFFIXES)
    return ((thing, suffix) for thing, suffix in pairs if (thing.path + suffix).count("/") <= MOST_NAMES)


def up_to(bound):
    return range(1, (MORE_THAN_ALL if bound is None else bound) + 1)


def combined(operation, *specs):
    """The result, or None where the specs have no common bound."""
    try:
        return operation(*specs)
    except SpecError:
        return None


@pytest.fixture(scope="session", params=[25, pytest.param(300, marks=pytest.mark.full)])
def law(specs, request):
    """Checks a law for many specs; a law gets as many specs as it has parameters."""

    def check(function, count):
        tested = given(st.tuples(*[specs] * count))(lambda some: function(*some))
        settings(max_examples=request.param)(tested)()

    return check


def test_stricter_is_subset_of_what_is_permitted(law):
    def holds(a, b):
        assert stricter_than(a, b) == (permissions(a) <= permissions(b))

    law(holds, 2)


def test_what_is_stricter_by_construction_is_found_stricter(law):
    def holds(a, b):
        common = combined(intersection, a, b)
        assume(common is not None)
        assert stricter_than(common, a)
        assert stricter_than(a, b) == equivalent(common, a)

    law(holds, 2)


def test_stricter_is_a_partial_order(law):
    def reflexive(a):
        assert stricter_than(a, a)

    def antisymmetric(a, b):
        if stricter_than(a, b) and stricter_than(b, a):
            assert permissions(a) == permissions(b)

    def transitive(a, b, c):
        if stricter_than(a, b) and stricter_than(b, c):
            assert stricter_than(a, c)

    law(reflexive, 1)
    law(antisymmetric, 2)
    law(transitive, 3)


def test_the_intersection_permits_what_both_permit(law):
    def holds(a, b):
        common = combined(intersection, a, b)
        assume(common is not None)
        assert permissions(common) == permissions(a) & permissions(b)

    law(holds, 2)


def test_the_union_permits_what_either_permits(law):
    def holds(a, b):
        joined = combined(union, a, b)
        assume(joined is not None)
        either = permissions(a) | permissions(b)
        if joined.network.host:  # nothing less has two bridges in it, or a bridge and hosts
            either |= set(network_permissions(joined.network))
        assert permissions(joined) == either

    law(holds, 2)


@pytest.mark.parametrize("operation", [union, intersection])
def test_operations_are_commutative_associative_and_idempotent(law, operation):
    def idempotent(a):
        assert equivalent(operation(a, a), a)

    def commutative(a, b):
        assert combined(operation, a, b) == combined(operation, b, a)

    def associative(a, b, c):
        ab, bc = combined(operation, a, b), combined(operation, b, c)
        assume(ab is not None and bc is not None)
        left, right = combined(operation, ab, c), combined(operation, a, bc)
        assume(left is not None and right is not None)
        assert equivalent(left, right)

    law(idempotent, 1)
    law(commutative, 2)
    law(associative, 3)


def test_both_lie_between_their_intersection_and_their_union(law):
    def holds(a, b):
        common, joined = combined(intersection, a, b), combined(union, a, b)
        assume(common is not None and joined is not None)
        for one in (a, b):
            assert stricter_than(common, one)
            assert stricter_than(one, joined)
        assert equivalent(intersection(a, joined), a)
        assert equivalent(union(a, common), a)

    law(holds, 2)


def test_results_are_valid_and_written_in_one_way(law):
    def holds(a, b):
        for result in (combined(union, a, b), combined(intersection, a, b)):
            if result is not None:
                check_spec(result)
                assert normal(result) == result

    law(holds, 2)


def test_normal_changes_nothing_that_is_permitted(law):
    def holds(a):
        assert equivalent(normal(a), a)
        assert normal(normal(a)) == normal(a)

    law(holds, 1)


def test_an_output_permits_reading_as_well():
    reader, writer = SandboxSpec(inputs=(Input("/a/x"),)), SandboxSpec(outputs=(Output("/a"),))
    assert stricter_than(reader, writer)
    assert not stricter_than(writer, reader)
    assert union(reader, writer).inputs == ()
    assert intersection(reader, writer).inputs == (Input("/a/x"),)


def test_the_same_path_with_another_source_is_another_file():
    here, there = SandboxSpec(inputs=(Input("/a"),)), SandboxSpec(inputs=(Input("/a", "/b"),))
    assert not stricter_than(here, there)
    assert intersection(here, there).inputs == ()
    with pytest.raises(SpecError, match='input "/a" and another input "/a"'):
        union(here, there)


def test_a_union_that_contradicts_itself_names_the_pair():
    reader, writer = SandboxSpec(inputs=(Input("/a"),)), SandboxSpec(outputs=(Output("/a/x"),))
    with pytest.raises(SpecError, match='input "/a" and output "/a/x" overlap'):
        union(reader, writer)
    with pytest.raises(SpecError, match='A is both "1" and "2"'):
        union(SandboxSpec(env=(("A", "1"),)), SandboxSpec(env=(("A", "2"),)))


def test_one_action_is_one_user():
    with pytest.raises(SpecError, match="uid 0 and uid 1000"):
        intersection(SandboxSpec(process=ProcessPolicy(uid=0)), SandboxSpec())


def test_no_limit_is_the_widest_limit():
    bounded = SandboxSpec(resources=ResourceLimits(memory_bytes=1), temps=(Temp("/t", 5),))
    unbounded = SandboxSpec(temps=(Temp("/t"),))
    assert stricter_than(bounded, unbounded)
    assert union(bounded, unbounded).resources.memory_bytes is None
    assert intersection(bounded, unbounded).temps == (Temp("/t", 5),)


def test_the_hosts_own_network_contains_every_host():
    one, every = SandboxSpec(network=NetworkPolicy(("h:1",))), SandboxSpec(network=NetworkPolicy(host=True))
    assert stricter_than(one, every)
    assert intersection(one, every).network == one.network
    assert union(one, every).network == every.network


def test_bridges_compare_with_themselves():
    def on(**options):
        return SandboxSpec(network=NetworkPolicy(bridge=Bridge(**options)))

    alone, host, hosts = SandboxSpec(), SandboxSpec(network=NetworkPolicy(host=True)), NetworkPolicy(("h:1",))
    assert stricter_than(alone, on()) and stricter_than(on(), host)
    assert stricter_than(on(nat=False), on()) and not stricter_than(on(), on(nat=False))
    assert union(on(nat=False), on()).network == on().network
    assert intersection(on(nat=False), on()).network == on(nat=False).network
    assert union(alone, on()).network == on().network
    for other in (on(name="b"), on(subnet="10.9.0.0/16"), SandboxSpec(network=hosts)):
        assert not stricter_than(on(), other) and not stricter_than(other, on())
        assert union(on(), other).network == host.network
        assert intersection(on(), other).network == alone.network


def test_more_filters_are_stricter_and_kill_is_stricter_than_deny():
    plain, filtered = SandboxSpec(), SandboxSpec(filters=(bytes(8),))
    assert stricter_than(filtered, plain) and not stricter_than(plain, filtered)
    assert union(plain, filtered).filters == () and intersection(plain, filtered).filters == (bytes(8),)
    killed = SandboxSpec(process=ProcessPolicy(on_violation="kill"))
    assert stricter_than(killed, plain) and not stricter_than(plain, killed)
    assert union(plain, killed).process.on_violation == "deny"
    assert intersection(plain, killed).process.on_violation == "kill"


def test_every_limit_is_a_bound():
    for name in (name for name in ResourceLimits.__struct_fields__ if name != "required"):
        low, high = (SandboxSpec(resources=ResourceLimits(**{name: value})) for value in (1, 3))
        assert stricter_than(low, high) and not stricter_than(high, low)
        assert getattr(union(low, high).resources, name) == 3
        assert getattr(intersection(low, high).resources, name) == 1
