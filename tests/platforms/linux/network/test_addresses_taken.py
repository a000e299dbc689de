"""Addresses and subnets that are taken: the next free one, always in the same order."""

import os
from ipaddress import IPv4Interface

import pytest

from bldr.api import Bridge
from bldr_linux.network import NetworkError


def test_a_full_subnet_says_so_and_gives_back_what_is_released(in_world):
    def test(world):
        networks, pids = world.networks(), [world.sandbox() for _ in range(6)]
        bridge = Bridge("tiny", "10.213.9.0/29")
        leases = [networks.connect(pid, bridge) for pid in pids[:5]]
        addresses = {str(IPv4Interface(lease.address)) for lease in leases}
        assert addresses == {f"10.213.9.{last}/29" for last in range(2, 7)}
        with pytest.raises(NetworkError, match=r"all 5 addresses of the subnet 10\.213\.9\.0/29 are taken"):
            networks.connect(pids[5], bridge)
        networks.release(leases[3])
        assert networks.connect(pids[5], bridge).address == leases[3].address
        networks.close()
        assert world.leftovers() == []

    in_world(test)


def test_the_same_process_gets_the_same_address(in_world):
    def test(world):
        networks, pid, bridge = world.networks(), world.sandbox(), Bridge("same", "10.213.0.0/24")
        seen = set()
        for _ in range(3):
            lease = networks.connect(pid, bridge)
            seen.add(lease.address)
            networks.release(lease)
        assert len(seen) == 1

    in_world(test)


def test_a_subnet_that_the_host_uses_is_replaced_and_named(in_world):
    def test(world):
        world.join("vpn0", "10.213.4.1", "10.213.4.2")
        networks, pid = world.networks(), world.sandbox()
        lease = networks.connect(pid, Bridge())
        assert lease.address.startswith("10.214.")
        assert "10.213.0.0/16 overlaps 10.213.4.0/24 on vpn0: 10.214.0.0/16 is used" in lease.warnings[-1]
        # The next one asks for the same and stands on the same bridge.
        other = networks.connect(world.sandbox(), Bridge())
        assert other.address.startswith("10.214.")
        networks.close()
        world.remove("vpn0")
        assert world.leftovers() == []

    in_world(test)


def test_a_route_to_all_of_a_private_range_counts(in_world):
    def test(world):
        gateway = world.uplink() and "192.0.2.2"
        world.route(os.getpid(), "10.0.0.0/8", gateway)
        lease = world.networks().connect(world.sandbox(), Bridge())
        assert lease.address.startswith("172.31.")

    in_world(test)


def test_default_routes_take_no_subnet(in_world):
    """Neither the one of the uplink nor the two halves that VPNs make of it."""

    def test(world):
        world.uplink()
        for half in ("0.0.0.0/1", "128.0.0.0/1"):
            world.route(os.getpid(), half, "192.0.2.2")
        networks = world.networks()
        assert networks.connect(world.sandbox(), Bridge()).address.startswith("10.213.")
        networks.close()

    in_world(test)
