"""Whom sandboxes on bridges reach, and whom not: by NAT, rules and routes."""

from ipaddress import IPv4Interface

import pytest

from bldr.api import Bridge
from bldr_linux.network import firewall, links

OUTSIDE, UPLINK = "192.0.2.2", "192.0.2.1"
UNREACHABLE = "Network is unreachable"


def ip_of(lease):
    return str(IPv4Interface(lease.address).ip)


def test_two_sandboxes_reach_each_other_and_nothing_is_left(in_world):
    def test(world):
        networks = world.networks()
        one, other = world.sandbox(), world.sandbox(users=True)
        leases = [networks.connect(pid, Bridge(nat=False)) for pid in (one, other)]
        assert world.links() == sorted(["lo", "bldr0", *(lease.link for lease in leases)])
        world.serve(other)
        assert world.call(one, ip_of(leases[1])) == ip_of(leases[0])
        for lease in leases:
            assert lease.warnings == ()
            networks.release(lease)
        assert world.leftovers() == []

    in_world(test)


def test_a_sandbox_without_a_bridge_reaches_nobody(in_world):
    def test(world):
        networks = world.networks()
        alone, one, other = (world.sandbox() for _ in range(3))
        leases = [networks.connect(pid, Bridge()) for pid in (one, other)]
        world.serve(other)
        assert world.call(alone, ip_of(leases[1])) == UNREACHABLE
        assert world.call(one, ip_of(leases[1])) == ip_of(leases[0])
        networks.close()

    in_world(test)


def test_what_lies_behind_the_host_is_reached_with_nat(in_world):
    def test(world):
        world.uplink()
        networks, pid = world.networks(), world.sandbox()
        lease = networks.connect(pid, Bridge())
        assert world.call(pid, OUTSIDE) == UPLINK
        assert world.forwarding("up0") == "1"
        assert world.tables() == ["bldr-forwarding", "bldr_bldr0"]
        networks.release(lease)
        assert world.forwarding("up0") == "0"
        assert world.leftovers() == []

    in_world(test)


@pytest.mark.parametrize("host_forwards", [False, True])
def test_without_nat_sandboxes_reach_only_each_other(in_world, host_forwards):
    """Nothing behind the host and nothing on it, but what the host itself begins is answered."""

    def test(world):
        outside = world.uplink()
        if host_forwards:
            world.forward_everything()
        networks, pid, other = world.networks(), world.sandbox(), world.sandbox()
        lease = networks.connect(pid, Bridge(nat=False))
        networks.connect(other, Bridge(nat=False))
        world.serve()
        world.serve(pid)
        assert world.call(pid, OUTSIDE) == UNREACHABLE
        assert world.call(pid, UPLINK) == UNREACHABLE
        assert world.call(pid, lease.gateway, timeout_s=0.3) == "timeout"
        assert world.call(None, ip_of(lease)) == lease.gateway
        # What only missing routes keep back now must be kept back by rules, if somebody finds a way to make them.
        world.route(pid, "default", lease.gateway)
        assert world.call(pid, UPLINK, timeout_s=0.3) == "timeout"
        world.route(outside, "10.213.0.0/16", UPLINK)  # or answers would be lost there
        assert world.call(pid, OUTSIDE, timeout_s=0.3) in ("timeout", "No route to host")
        networks.close()
        assert world.forwarding("up0") == ("1" if host_forwards else "0")
        assert world.leftovers() == []

    in_world(test)


def test_two_bridges_are_two_networks(in_world):
    def test(world):
        world.uplink()
        networks, pids = world.networks(), [world.sandbox(), world.sandbox()]
        leases = [
            networks.connect(pids[0], Bridge("one", "10.213.0.0/16")),
            networks.connect(pids[1], Bridge("two", "10.214.0.0/16")),
        ]
        world.serve(pids[1])
        assert world.call(pids[0], ip_of(leases[1]), timeout_s=0.3) == "timeout"
        assert [world.call(pid, OUTSIDE) for pid in pids] == [UPLINK] * 2
        networks.release(leases[0])
        assert world.call(pids[1], OUTSIDE) == UPLINK
        assert world.forwarding("up0") == "1"
        networks.release(leases[1])
        assert world.forwarding("up0") == "0"
        assert world.leftovers() == []

    in_world(test)


def test_nobody_outside_reaches_a_sandbox(in_world):
    def test(world):
        outside = world.uplink()
        networks, pid = world.networks(), world.sandbox()
        lease = networks.connect(pid, Bridge())
        world.serve(pid)
        world.route(outside, "10.213.0.0/16", UPLINK)
        assert world.call(None, ip_of(lease)) == lease.gateway
        assert world.call(outside, ip_of(lease), timeout_s=0.3) == "timeout"
        networks.close()

    in_world(test)


def test_a_sandbox_passes_for_nobody_else(in_world):
    """With an address that is not of the subnet as the sender nothing leaves the host."""

    def test(world):
        outside = world.uplink()
        networks, pid = world.networks(), world.sandbox()
        lease = networks.connect(pid, Bridge())
        own, stranger = ip_of(lease), "203.0.113.5"
        for name in ("all", "bldr0"):
            world.set_switch(name, "rp_filter", "0")  # the kernel's own check, which not every host has on
        world.add_address(pid, "eth0", stranger)
        received = world.listen_datagrams(outside)
        world.send_datagram(pid, stranger, OUTSIDE)
        world.send_datagram(pid, own, OUTSIDE)
        assert received() == UPLINK
        networks.close()

    in_world(test)


def test_the_host_becomes_no_router(in_world):
    """Forwarding on the uplink is for sandboxes: from there to another network of the host's nothing is passed on."""

    def test(world):
        outside = world.uplink()
        inner = world.join("up1", "198.51.100.1", "198.51.100.2")
        world.route(inner, "default", "198.51.100.1")
        world.route(outside, "198.51.100.0/24", UPLINK)
        world.serve(inner)
        before = world.call(outside, "198.51.100.2", timeout_s=0.3)
        networks, pid = world.networks(), world.sandbox()
        networks.connect(pid, Bridge())
        assert world.forwarding("up0") == world.forwarding("up1") == "1"
        assert world.call(pid, "198.51.100.2") == "198.51.100.1"
        while_up = world.call(outside, "198.51.100.2", timeout_s=0.3)
        assert "198" not in before + while_up and "192" not in before + while_up
        networks.close()
        assert world.forwarding("up0") == world.forwarding("up1") == "0"

    in_world(test)


def test_a_host_that_forwards_already_is_left_as_it_is(in_world):
    def test(world):
        world.uplink()
        world.forward_everything()
        networks, pid = world.networks(), world.sandbox()
        networks.connect(pid, Bridge())
        assert world.tables() == ["bldr_bldr0"]
        assert world.call(pid, OUTSIDE) == UPLINK
        networks.close()
        assert world.forwarding("up0") == "1"
        assert world.leftovers() == []

    in_world(test)


def test_forwarding_that_somebody_else_turns_on_meanwhile_stays(in_world):
    def test(world):
        world.uplink()
        networks, one, other = world.networks(), world.sandbox(), world.sandbox()
        networks.connect(one, Bridge())
        assert world.tables() == ["bldr-forwarding", "bldr_bldr0"]
        world.forward_everything()
        networks.connect(other, Bridge())
        assert world.tables() == ["bldr_bldr0"]
        networks.close()
        assert world.forwarding("up0") == "1"

    in_world(test)


def test_rules_that_somebody_flushed_are_back_for_the_next_sandbox(in_world):
    def test(world):
        world.uplink()
        networks, one, other = world.networks(), world.sandbox(), world.sandbox()
        networks.connect(one, Bridge())
        links.apart(lambda: (firewall.remove_bridge("bldr0"), firewall.remove_guard()))
        assert world.tables() == []
        networks.connect(other, Bridge())
        assert world.tables() == ["bldr-forwarding", "bldr_bldr0"]
        assert world.call(one, OUTSIDE) == UPLINK
        networks.close()

    in_world(test)


def test_there_is_no_ipv6(in_world):
    def test(world):
        networks, pid = world.networks(), world.sandbox()
        networks.connect(pid, Bridge())
        assert world.ipv6_interfaces(pid) <= {"lo"}
        assert world.ipv6_interfaces(None) <= {"lo"}
        networks.close()

    in_world(test)
