"""The choice of subnets and addresses, as pure functions."""

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bldr.api import Bridge
from bldr_linux.network import NetworkError, addresses
from bldr_linux.network.addresses import Route

SUBNETS = st.builds(
    lambda number, prefix: IPv4Network((0x0AD50000 | number, prefix), strict=False),
    st.integers(0, 0xFFFF),
    st.integers(16, 30),
)


@given(SUBNETS, st.integers(0, 2**22), st.data())
def test_a_free_address_is_the_next_one_that_is_not_taken(subnet, start, data):
    hosts = {subnet.network_address + number for number in range(2, min(subnet.num_addresses - 1, 40))}
    taken = data.draw(st.sets(st.sampled_from(sorted(hosts)))) if hosts else set()
    try:
        address = addresses.free_address(subnet, start, taken)
    except NetworkError:
        assert len(taken) == subnet.num_addresses - 3
        return
    assert address in subnet
    assert address not in {*taken, subnet.network_address, addresses.gateway(subnet), subnet.broadcast_address}
    assert addresses.free_address(subnet, start, taken) == address
    assert addresses.free_address(subnet, start, {*taken, address} - {address}) == address


@given(SUBNETS)
def test_as_many_sandboxes_as_the_subnet_has_room_for_get_distinct_addresses(subnet):
    count = min(subnet.num_addresses - 3, 50)
    taken = []
    for _ in range(count):
        taken.append(addresses.free_address(subnet, 7, taken))
    assert len(set(taken)) == count
    assert len({addresses.host_link(address) for address in taken}) == count
    assert all(len(addresses.host_link(address)) <= addresses.NAME_BYTES for address in taken)
    assert len({addresses.hardware_address(address, end) for address in taken for end in (0, 1, 2)}) == 3 * count


def test_order_of_addresses():
    subnet = IPv4Network("10.0.0.0/29")
    taken = []
    for _ in range(5):
        taken.append(addresses.free_address(subnet, 3, taken))
    assert [int(address) & 7 for address in taken] == [5, 6, 2, 3, 4]


def test_order_of_subnets():
    asked, routes, chosen = IPv4Network("10.213.0.0/16"), [], []
    for _ in range(56):
        subnet, overlapped = addresses.free_subnet(asked, routes)
        assert (overlapped is None) == (not routes)
        chosen.append(str(subnet))
        routes.append(Route(subnet, "eth0"))
    assert chosen[:3] == ["10.213.0.0/16", "10.214.0.0/16", "10.215.0.0/16"]
    assert chosen[37:41] == ["10.250.0.0/16", "172.31.0.0/16", "172.30.0.0/16", "172.29.0.0/16"]
    assert chosen[54] == "192.168.213.0/24"


def test_a_small_subnet_is_replaced_by_one_of_its_size():
    asked = IPv4Network("192.168.1.64/26")
    subnet, overlapped = addresses.free_subnet(asked, [Route(IPv4Network("192.168.1.0/24"), "eth0")])
    assert (str(subnet), str(overlapped)) == ("10.213.0.0/26", "192.168.1.0/24 on eth0")


def test_where_everything_is_taken_the_route_in_the_way_is_named():
    private = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    routes = [Route(IPv4Network(block), "tun0") for block in private]
    with pytest.raises(NetworkError, match="overlap networks of the host") as caught:
        addresses.free_subnet(IPv4Network("10.213.0.0/16"), routes)
    assert "10.0.0.0/8 on tun0" in caught.value.hint


@pytest.mark.parametrize("name", ["", ".", "..", "a" * 16, "ö" * 8, "a b", "a/b", "a:b", "a%d", "a\0b", "a\n"])
def test_names_that_the_kernel_refuses(name):
    with pytest.raises(NetworkError, match="cannot name a bridge"):
        addresses.subnet_of(Bridge(name=name))


@pytest.mark.parametrize(
    "subnet", ["10.213.0.1/16", "10.0.0.0/31", "8.8.8.0/24", "0.0.0.0/0", "127.0.0.0/8", "fd00::/64", "x"]
)
def test_subnets_that_are_no_place_for_sandboxes(subnet):
    with pytest.raises(NetworkError, match=r"is no (IPv4|private) subnet"):
        addresses.subnet_of(Bridge(subnet=subnet))


def test_the_default_is_right():
    assert addresses.subnet_of(Bridge()) == IPv4Network("10.213.0.0/16")
    assert addresses.gateway(IPv4Network("10.213.0.0/16")) == IPv4Address("10.213.0.1")
