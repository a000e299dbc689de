"""Chooses subnets and addresses and makes names of them: pure, deterministic, the next free one when one is taken."""

from collections.abc import Container, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from bldr.api import Bridge
from bldr_linux.network.failures import NetworkError

# Where another subnet is looked for, in this order: what bldr uses by default, then ranges that few machines use.
_SPARE = tuple(
    IPv4Network(block)
    for block in (
        *(f"10.{second}.0.0/16" for second in range(213, 251)),
        *(f"172.{second}.0.0/16" for second in range(31, 15, -1)),
        *(f"192.168.{third}.0/24" for third in range(213, 251)),
    )
)
_LONGEST_PREFIX = 30  # room for the bridge and one sandbox
_PRIVATE = tuple(IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
NAME_BYTES = 15  # IFNAMSIZ with its NUL


class Route:
    """A network that the host reaches already, through the interface `device`."""

    def __init__(self, network: IPv4Network, device: str) -> None:
        self.network = network
        self.device = device

    def __str__(self) -> str:
        return f"{self.network} on {self.device}"


def subnet_of(bridge: Bridge) -> IPv4Network:
    """The subnet that is asked for; NetworkError where the bridge is named or numbered wrongly."""
    name = bridge.name
    if not name or len(name.encode()) > NAME_BYTES or name in (".", "..") or not name.isprintable():
        raise NetworkError(f'"{name}" cannot name a bridge', f"use 1 to {NAME_BYTES} letters and digits")
    if any(char.isspace() or char in "/:%" for char in name):
        raise NetworkError(f'"{name}" cannot name a bridge', "use letters, digits, `-`, `_` and `.`")
    try:
        subnet = IPv4Network(bridge.subnet)
    except ValueError as error:
        raise NetworkError(f'"{bridge.subnet}" is no IPv4 subnet: {error}', "write it as 10.213.0.0/16") from None
    if subnet.prefixlen > _LONGEST_PREFIX or not any(subnet.subnet_of(block) for block in _PRIVATE):
        hint = f"use one of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16, with a prefix of /{_LONGEST_PREFIX} or shorter"
        raise NetworkError(f'"{subnet}" is no private subnet with room for a sandbox', hint)
    return subnet


def free_subnet(asked: IPv4Network, routes: Iterable[Route]) -> tuple[IPv4Network, Route | None]:
    """`asked`, or the first spare one of its size where the host has a route into it, and then that route.

    NetworkError where every spare one is taken as well.
    """
    routes = tuple(routes)
    taken = _overlap(asked, routes)
    if taken is None:
        return asked, None
    for candidate in _spare(asked.prefixlen):
        if _overlap(candidate, routes) is None:
            return candidate, taken
    hint = f"name a private subnet that the host has no route to (`subnet = ...`); in the way is {taken}"
    raise NetworkError(f"the subnet {asked} and every spare one overlap networks of the host", hint)


def _spare(prefixlen: int) -> Iterator[IPv4Network]:
    for block in _SPARE:
        if prefixlen <= block.prefixlen:
            yield block
        else:
            yield next(block.subnets(new_prefix=prefixlen))


def _overlap(subnet: IPv4Network, routes: Iterable[Route]) -> Route | None:
    return next((route for route in routes if route.network.overlaps(subnet)), None)


def gateway(subnet: IPv4Network) -> IPv4Address:
    """The bridge's own address."""
    return subnet.network_address + 1


def free_address(subnet: IPv4Network, start: int, taken: Container[IPv4Address]) -> IPv4Address:
    """The address that the number `start` falls on, or the next one upwards, round the end, that is not `taken`."""
    first, count = 2, subnet.num_addresses - 3
    for distance in range(count):
        address = subnet.network_address + (first + (start + distance) % count)
        if address not in taken:
            return address
    hint = "run fewer sandboxes at once, or name a larger subnet"
    raise NetworkError(f"all {count} addresses of the subnet {subnet} are taken", hint)


def interface(subnet: IPv4Network, address: IPv4Address) -> IPv4Interface:
    """The address with the subnet's prefix."""
    return IPv4Interface((address, subnet.prefixlen))


def host_link(address: IPv4Address) -> str:
    """The host's end of the pair of a sandbox; subnets never overlap, so that no two pairs share a name."""
    return f"bldr-{int(address):08x}"


def hardware_address(address: IPv4Address, end: int) -> str:
    """A locally administered MAC address; the same for the same address, so that neighbours' caches stay right."""
    return ":".join(f"{byte:02x}" for byte in (0x02, 0xB0 + end, *address.packed))
