"""Connects sandboxes to bridges and takes away what was made for them; the file to read first.

What exists is written down in `state` before it is made. Every call removes what dead owners left, under the lock that
all bldr processes of the user share: a process that is killed at any instant leaves work for the next one, no more.
"""

import itertools
import os
from collections.abc import Callable, Sequence
from ipaddress import IPv4Interface, IPv4Network
from typing import Any

from bldr.api import Bridge, SetupFailure
from bldr_linux.network import addresses, firewall, forwarding, links, resolver
from bldr_linux.network.failures import NetworkError, step
from bldr_linux.network.state import BridgeRecord, Lease, State, default_directory, is_alive, this_process

_NO_NAME_SERVER = (
    "the host's name servers are on its loopback, which a sandbox cannot reach: names cannot be looked up; name "
    "another server in /etc/resolv.conf"
)
_NO_SHIELD = "the addresses of the host itself can be reached from the sandbox: {}"
_SERIALS = itertools.count(1)
# Leases of this process that are over and could not be removed, by serial.
_ABANDONED: set[int] = set()


class Networks:
    """The leases of one launcher's sandboxes; used by one thread. Making one does nothing and imports nothing.

    `directory` is where the state is kept (None: /run, or the user's runtime directory); `resolver_files` are looked at
    in their order.
    """

    def __init__(self, directory: str | None = None, resolver_files: Sequence[str] = resolver.FILES) -> None:
        self._given_directory = directory
        self._resolver_files = tuple(resolver_files)
        self._leases: dict[int, Lease] = {}
        self._checked: SetupFailure | bool = False

    def check(self) -> SetupFailure | None:
        """Why bridges cannot be made here, and what to do; tried once, in a network namespace of its own."""
        if self._checked is False:
            try:
                self._state()
                links.apart(links.try_kinds)
                self._checked = True
            except NetworkError as error:
                self._checked = error.failure
        return self._checked if isinstance(self._checked, SetupFailure) else None

    def connect(self, pid: int, bridge: Bridge) -> Lease:
        """Give the network namespace of the process `pid` an `eth0` on `bridge`, which is made where it is missing.

        Raises NetworkError, and has made nothing then. The process must wait meanwhile and be told afterwards.
        """
        subnet = addresses.subnet_of(bridge)
        namespace = _open_namespace(pid)
        try:
            return links.apart(lambda: self._connect(pid, namespace, bridge, subnet))
        finally:
            os.close(namespace)

    def release(self, lease: Lease) -> SetupFailure | None:
        """Idempotent. With the last lease the bridge goes, with all that belongs to it.

        Never raises: what cannot be removed now, and the answer says why, is left to the next call, of any process.
        """
        if self._leases.pop(lease.serial, None) is None:
            return None
        try:
            self._change(lambda ip, state: _end_lease(ip, state, lease))
        except NetworkError as error:
            _ABANDONED.add(lease.serial)
            return error.failure
        return None

    def close(self) -> SetupFailure | None:
        """Release what is left; the answer is the first failure."""
        failures = [self.release(lease) for lease in tuple(self._leases.values())]
        return next((failure for failure in failures if failure is not None), None)

    def sweep(self) -> None:
        """Remove what dead owners left; the other calls do so as well."""
        self._change(lambda _ip, _state: None)

    def resolver(self, bridge: Bridge | None = None) -> bytes:
        """The content of /etc/resolv.conf for a sandbox on `bridge`; no name server is reached without NAT."""
        return resolver.resolver_file(() if bridge is not None and not bridge.nat else self._resolver_files)[0]

    def _state(self) -> State:
        return State(self._given_directory or default_directory())

    def _change(self, work: Callable[[Any, State], None]) -> None:
        def locked() -> None:
            state = self._state()
            with state.locked(), links.iproute() as ip:
                try:
                    work(ip, state)
                finally:
                    _sweep(ip, state)

        links.apart(locked)

    def _connect(self, pid: int, namespace: int, bridge: Bridge, subnet: IPv4Network) -> Lease:
        state = self._state()
        with state.locked(), links.iproute() as ip:
            _sweep(ip, state)
            try:
                lease = self._lease(ip, state, pid, namespace, bridge, subnet)
            except BaseException:
                _sweep(ip, state)
                raise
        self._leases[lease.serial] = lease
        return lease

    def _lease(self, ip: Any, state: State, pid: int, namespace: int, bridge: Bridge, subnet: IPv4Network) -> Lease:
        record = _record_of(ip, state, bridge, subnet)
        links.make_bridge(ip, record.name, IPv4Network(record.subnet))
        warnings = _protect(ip, state, record)
        if record.nat and not resolver.resolver_file(self._resolver_files)[1]:
            warnings.append(_NO_NAME_SERVER)
        if record.overlaps:
            warnings.append(f"the subnet {record.asked} overlaps {record.overlaps}: {record.subnet} is used")
        in_use = IPv4Network(record.subnet)
        taken = {IPv4Interface(lease.address).ip for lease in state.leases() if lease.bridge == record.name}
        address = addresses.free_address(in_use, pid, taken)
        lease = Lease(
            bridge=record.name,
            address=str(addresses.interface(in_use, address)),
            gateway=str(addresses.gateway(in_use)),
            link=addresses.host_link(address),
            owner=this_process(),
            serial=next(_SERIALS),
            warnings=tuple(warnings),
        )
        state.put_lease(lease)
        try:
            links.make_pair(ip, record.name, lease.link, address, namespace)
            gateway = addresses.gateway(in_use) if record.nat else None
            links.apart(lambda: links.set_up_sandbox(namespace, IPv4Interface(lease.address), gateway))
        except BaseException:
            _end_lease(ip, state, lease)
            raise
        return lease


def _open_namespace(pid: int) -> int:
    """A descriptor of the network namespace of `pid`; the host's own is refused: it has an `eth0` already."""
    with step(f"open the network namespace of process {pid}"):
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if os.path.samestat(os.fstat(namespace), os.stat("/proc/thread-self/ns/net")):
        os.close(namespace)
        raise NetworkError(f"process {pid} has no network namespace of its own")
    return namespace


def _record_of(ip: Any, state: State, bridge: Bridge, subnet: IPv4Network) -> BridgeRecord:
    """What stands already, if it is what was asked for, or a new record of a bridge that is not there yet."""
    asked = str(subnet)
    for record in state.bridges():
        if record.name == bridge.name:
            if (record.asked, record.nat) != (asked, bridge.nat):
                what = f"for {record.asked} {'with' if record.nat else 'without'} NAT"
                hint = f"use the same, or another name than {bridge.name}"
                raise NetworkError(f'the bridge "{bridge.name}" stands already, {what}', hint)
            if _is_ours(ip, record) is not False:
                return record
    if links.index_of(bridge.name):
        hint = "name one that does not exist yet: bldr makes and removes it"
        raise NetworkError(f'the interface "{bridge.name}" exists on the host and is not of bldr\'s making', hint)
    chosen, overlapped = addresses.free_subnet(subnet, links.routes(ip, but=bridge.name))
    overlaps = str(overlapped) if overlapped else ""
    record = BridgeRecord(name=bridge.name, asked=asked, subnet=str(chosen), nat=bridge.nat, overlaps=overlaps)
    state.put_bridge(record)
    return record


def _is_ours(ip: Any, record: BridgeRecord) -> bool | None:
    """None where there is no such interface."""
    found = links.hardware_address_of(ip, record.name)
    return None if found is None else found == _hardware_address(record)


def _hardware_address(record: BridgeRecord) -> str:
    return addresses.hardware_address(addresses.gateway(IPv4Network(record.subnet)), 0)


def _protect(ip: Any, state: State, record: BridgeRecord) -> list[str]:
    """Rules and forwarding. A bridge without NAT works without rules, and what that means is the answer."""
    try:
        firewall.put_bridge(record)
    except NetworkError as error:
        if record.nat:
            raise
        return [_NO_SHIELD.format(error.message)]
    if record.nat:
        bridges = {other.name for other in state.bridges()}
        uplinks = [name for name in links.uplinks(ip, but=record.name) if name not in bridges]
        forwarding.turn_on(state, record.name, uplinks)
    return []


def _end_lease(ip: Any, state: State, lease: Lease) -> None:
    """Unless it was swept already; its link may be another's by now."""
    if lease in state.leases():
        links.remove(ip, lease.link, addresses.hardware_address(IPv4Interface(lease.address).ip, 1))
        state.remove_lease(lease)


def _sweep(ip: Any, state: State) -> None:
    """Remove leases whose sandbox or owner is gone, bridges without leases, and forwarding that no bridge needs."""
    state.remove_unfinished()
    me = this_process()
    for lease in state.leases():
        abandoned = lease.owner == me and lease.serial in _ABANDONED
        if abandoned or not links.index_of(lease.link) or not is_alive(lease.owner):
            _end_lease(ip, state, lease)
    used = {lease.bridge for lease in state.leases()}
    for record in state.bridges():
        if record.name not in used:
            links.remove(ip, record.name, _hardware_address(record))
            firewall.remove_bridge(record.name)
            state.remove_bridge(record.name)
    if not any(record.nat for record in state.bridges()):
        forwarding.put_back(state)
