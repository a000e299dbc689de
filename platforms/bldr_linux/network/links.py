"""Makes and removes links, addresses and routes through pyroute2; the only place that talks rtnetlink.

Every function works in the network namespace of the calling thread and is to be called from a thread of `apart`.
"""

import ctypes
import errno
import os
import socket
import threading
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any, TypeVar

from bldr_linux.network import addresses
from bldr_linux.network.addresses import Route
from bldr_linux.network.failures import NO_BRIDGES, step

_CLONE_NEWNET = 0x40000000
# IN6_ADDR_GEN_MODE_NONE: no address of IPv6, not even a link-local one, comes of itself.
_NO_IPV6 = {"attrs": [["AF_INET6", {"attrs": [["IFLA_INET6_ADDR_GEN_MODE", 1]]}]]}
# Two halves of all addresses are how VPNs spell a default route.
_SHORTEST_PREFIX = 8
_SANDBOX_LINK = "eth0"
_UNICAST_TYPES = (1, 2, 6, 7, 8)  # unicast, local, blackhole, unreachable, prohibit
_Answer = TypeVar("_Answer")


def apart(work: Callable[[], _Answer]) -> _Answer:
    """What `work` returns or raises, done in a thread of its own.

    pyroute2 runs an event loop and cannot where the caller runs one; a thread that enters another network namespace
    must never come back, whatever happens in it.
    """
    answers: list[_Answer] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(work())
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    done = threading.Event()
    thread = threading.Thread(target=run, name="bldr-network")
    thread.start()
    try:
        done.wait()  # an interrupted join takes the thread for ended
    except BaseException:  # ^C: what is begun is ended, so that the caller can take it back
        done.wait()
        raise
    thread.join()
    if errors:
        raise errors[0]
    return answers[0]


def iproute() -> Any:
    """A netlink socket in this thread's network namespace, to be used as a context manager."""
    import pyroute2

    with step("speak netlink with the kernel"):
        return pyroute2.IPRoute()


def index_of(name: str) -> int:
    """0 where there is no such interface."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def routes(ip: Any, *, but: str) -> list[Route]:
    """The networks that the host has addresses in or routes to, default routes and those of the bridge `but` aside."""
    own, names = index_of(but), dict(socket.if_nameindex())
    found = []
    with step("read the routes of the host"):
        for entry in ip.get_routes(family=socket.AF_INET):
            target, device = entry.get_attr("RTA_DST"), entry.get_attr("RTA_OIF") or 0
            if target and entry["type"] in _UNICAST_TYPES and entry["dst_len"] >= _SHORTEST_PREFIX and device != own:
                found.append((f"{target}/{entry['dst_len']}", device))
        for entry in ip.get_addr(family=socket.AF_INET):
            if entry["index"] != own:
                found.append((f"{entry.get_attr('IFA_ADDRESS')}/{entry['prefixlen']}", entry["index"]))
    return [Route(IPv4Network(text, strict=False), names.get(device, "no interface")) for text, device in found]


def uplinks(ip: Any, *, but: str) -> list[str]:
    """The interfaces that routes of the host's lead to."""
    names = dict(socket.if_nameindex())
    with step("read the routes of the host"):
        found = {names.get(entry.get_attr("RTA_OIF") or 0, "") for entry in ip.get_routes(family=socket.AF_INET)}
    return sorted(found - {"", "lo", but})


def make_bridge(ip: Any, name: str, subnet: IPv4Network) -> None:
    """Idempotent: whatever is missing of the bridge, its address and its being up is made."""
    own = addresses.gateway(subnet)
    with step(f'make the bridge "{name}"', {errno.EOPNOTSUPP: NO_BRIDGES}):
        if not index_of(name):
            # Without an address of its own it takes one of its members', and another when that one goes.
            ip.link("add", ifname=name, kind="bridge", address=addresses.hardware_address(own, 0))
        index = index_of(name)
        _disable_ipv6(ip, index)
        if not any(
            entry.get_attr("IFA_LOCAL") == str(own) for entry in ip.get_addr(index=index, family=socket.AF_INET)
        ):
            ip.addr("add", index=index, address=str(own), prefixlen=subnet.prefixlen)
        ip.link("set", index=index, state="up")


def hardware_address_of(ip: Any, name: str) -> str | None:
    """None where there is no such interface."""
    index = index_of(name)
    if not index:
        return None
    with step(f'look at the interface "{name}"'):
        try:
            return next((str(entry.get_attr("IFLA_ADDRESS")) for entry in ip.get_links(index)), None)
        except Exception as error:
            if getattr(error, "code", None) == errno.ENODEV:
                return None
            raise


def make_pair(ip: Any, bridge: str, link: str, address: IPv4Address, namespace: int) -> None:
    """One end on the bridge, the other made as `eth0` where the descriptor `namespace` leads, never seen in between."""
    with step(f'connect a sandbox to the bridge "{bridge}"', {errno.EOPNOTSUPP: NO_BRIDGES}):
        ip.link(
            "add",
            ifname=link,
            kind="veth",
            address=addresses.hardware_address(address, 1),
            master=index_of(bridge),
            peer={
                "ifname": _SANDBOX_LINK,
                "net_ns_fd": namespace,
                "address": addresses.hardware_address(address, 2),
            },
        )
        index = index_of(link)
        _disable_ipv6(ip, index)
        ip.link("set", index=index, state="up")


def set_up_sandbox(namespace: int, address: IPv4Interface, gateway: IPv4Address | None) -> None:
    """Enters the sandbox's network namespace for good: the thread must end after it."""
    with step("enter the network namespace of the sandbox"):
        _call("setns", namespace, _CLONE_NEWNET)
    with iproute() as ip, step("give the sandbox its address"):
        index = index_of(_SANDBOX_LINK)
        _disable_ipv6(ip, index)
        ip.addr("add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen)
        ip.link("set", index=index, state="up")
        if gateway is not None:
            ip.route("add", dst="default", gateway=str(gateway))


def remove(ip: Any, name: str, hardware_address: str) -> None:
    """Idempotent: a pair goes of itself with the sandbox's network namespace. Never a stranger's of the same name."""
    if hardware_address_of(ip, name) != hardware_address:
        return
    with step(f'remove the interface "{name}"'):
        try:
            ip.link("del", index=index_of(name))
        except Exception as error:
            if getattr(error, "code", None) not in (errno.ENODEV, errno.EINVAL):  # EINVAL: it has no index any more
                raise


def try_kinds() -> None:
    """Makes a bridge and a pair in a network namespace that goes with this thread."""
    with step("make a network namespace"):
        _call("unshare", _CLONE_NEWNET)
    with iproute() as ip:
        with step("make a bridge"):
            ip.link("add", ifname="bldr-try", kind="bridge")
        with step("make a pair of interfaces"):
            ip.link("add", ifname="bldr-try-a", kind="veth", peer="bldr-try-b")


def _disable_ipv6(ip: Any, index: int) -> None:
    try:
        ip.link("set", index=index, IFLA_AF_SPEC=_NO_IPV6)
    except Exception as error:
        if getattr(error, "code", None) not in (errno.EAFNOSUPPORT, errno.EOPNOTSUPP):  # a kernel without IPv6
            raise


def _call(name: str, *arguments: int) -> None:
    """`os.setns` and `os.unshare` are of Python 3.12."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
