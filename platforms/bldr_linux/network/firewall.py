"""NAT and the rules of bridges as nftables: one table of bldr's own for each bridge, replaced or removed as a whole.

Messages are encoded by pyroute2. They are sent from here: its own transactions do not wait for the kernel's answer.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network
from typing import Any

from bldr_linux.network.failures import NO_NFTABLES, failed, step
from bldr_linux.network.state import BridgeRecord

_GUARD = "bldr-forwarding"  # no bridge's table is called so: those have "_" for "-"
_FAMILY_IP = 2
_NETLINK_NETFILTER = 12
_SUBSYSTEM = 10 << 8
_BEGIN, _END = 0x10, 0x11
_NEW_TABLE, _GET_TABLE, _DELETE_TABLE, _NEW_CHAIN, _NEW_RULE = 0, 1, 2, 3, 6
_REQUEST, _ACK, _CREATE, _APPEND = 0x1, 0x4, 0x400, 0x800
_INPUT, _FORWARD, _POSTROUTING = 1, 2, 4
_SOURCE_NAT_PRIORITY = 100
_DROP, _ACCEPT = 0, 1
_EQUAL, _NOT_EQUAL = 0, 1
_REGISTER = 1
_META_IN, _META_OUT = 6, 7  # names of interfaces
_CT_STATE, _ESTABLISHED_OR_RELATED = 0, 0x2 | 0x4
_NETWORK_HEADER, _SOURCE_OFFSET = 1, 12
_NAME_BYTES = 16
_PATIENCE_S = 10.0
_HINTS = dict.fromkeys((errno.EOPNOTSUPP, errno.ENOENT, errno.EPROTONOSUPPORT, errno.EINVAL), NO_NFTABLES)

Expression = dict[str, Any]
Rule = list[Expression]


def table_of(bridge: str) -> str:
    """The name of the bridge's table."""
    return f"bldr_{bridge}"


def put_bridge(record: BridgeRecord) -> None:
    """Install the rules of a bridge, where its table does not stand already."""
    name = table_of(record.name)
    if _exists(name):
        return
    subnet, bridge = IPv4Network(record.subnet), record.name
    transaction = _Transaction()
    transaction.table(name)
    transaction.chain(name, "forward", _FORWARD)
    for rule in _forward_rules(bridge, subnet, nat=record.nat):
        transaction.rule(name, "forward", rule)
    if record.nat:
        transaction.chain(name, "postrouting", _POSTROUTING, kind="nat", priority=_SOURCE_NAT_PRIORITY)
        transaction.rule(
            name, "postrouting", [*_from(subnet), *_interface(_META_OUT, bridge, _NOT_EQUAL), _masquerade()]
        )
    else:
        # The host's own addresses are no part of a network of sandboxes; answers to what the host asks are.
        transaction.chain(name, "input", _INPUT)
        transaction.rule(name, "input", [*_interface(_META_IN, bridge), *_answers(), _verdict(_ACCEPT)])
        transaction.rule(name, "input", [*_interface(_META_IN, bridge), _verdict(_DROP)])
    transaction.commit(f'install the rules of the bridge "{bridge}" with nftables')


def remove_bridge(bridge: str) -> None:
    """Idempotent."""
    _remove(table_of(bridge))


def put_guard(bridges: Iterable[str], interfaces: Sequence[str]) -> None:
    """Keep the host from passing anything but what is of `bridges` on from `interfaces`, whose forwarding was off."""
    transaction = _Transaction()
    transaction.table(_GUARD)  # so that there is one to remove
    transaction.remove_table(_GUARD)
    transaction.table(_GUARD)
    transaction.chain(_GUARD, "forward", _FORWARD)
    for bridge in bridges:
        transaction.rule(_GUARD, "forward", [*_interface(_META_IN, bridge), _verdict(_ACCEPT)])
        transaction.rule(_GUARD, "forward", [*_interface(_META_OUT, bridge), _verdict(_ACCEPT)])
    for name in interfaces:
        transaction.rule(_GUARD, "forward", [*_interface(_META_IN, name), _verdict(_DROP)])
    transaction.commit("install the rules of forwarding with nftables")


def has_guard() -> bool:
    """Whether it stands; somebody may have flushed all rules."""
    return _exists(_GUARD)


def remove_guard() -> None:
    """Idempotent."""
    _remove(_GUARD)


def _forward_rules(bridge: str, subnet: IPv4Network, *, nat: bool) -> list[Rule]:
    inside, outside = _interface(_META_IN, bridge), _interface(_META_OUT, bridge)
    return [
        [*inside, *outside, _verdict(_ACCEPT)],  # between sandboxes, where bridges are made to ask netfilter
        *([[*inside, *_from(subnet, _NOT_EQUAL), _verdict(_DROP)]] if nat else [[*inside, _verdict(_DROP)]]),
        [*outside, *_answers(), _verdict(_ACCEPT)],
        [*outside, _verdict(_DROP)],
    ]


def _expression(name: str, attributes: dict[str, Any]) -> Expression:
    data = [(f"NFTA_{name.upper()}_{key.upper()}", value) for key, value in attributes.items()]
    return {"attrs": [("NFTA_EXPR_NAME", name), ("NFTA_EXPR_DATA", {"attrs": data})]}


def _value(data: bytes) -> dict[str, Any]:
    return {"attrs": [("NFTA_DATA_VALUE", data)]}


def _compare(data: bytes, operator: int = _EQUAL) -> Expression:
    return _expression("cmp", {"sreg": _REGISTER, "op": operator, "data": _value(data)})


def _mask(mask: bytes) -> Expression:
    attributes = {"sreg": _REGISTER, "dreg": _REGISTER, "len": len(mask), "mask": _value(mask)}
    return _expression("bitwise", attributes | {"xor": _value(bytes(len(mask)))})


def _interface(key: int, name: str, operator: int = _EQUAL) -> Rule:
    padded = name.encode().ljust(_NAME_BYTES, b"\0")
    return [_expression("meta", {"dreg": _REGISTER, "key": key}), _compare(padded, operator)]


def _from(subnet: IPv4Network, operator: int = _EQUAL) -> Rule:
    source = {"dreg": _REGISTER, "base": _NETWORK_HEADER, "offset": _SOURCE_OFFSET, "len": 4}
    compared = _compare(subnet.network_address.packed, operator)
    return [_expression("payload", source), _mask(subnet.netmask.packed), compared]


def _answers() -> Rule:
    state = _mask(struct.pack("=I", _ESTABLISHED_OR_RELATED))
    return [_expression("ct", {"dreg": _REGISTER, "key": _CT_STATE}), state, _compare(bytes(4), _NOT_EQUAL)]


def _verdict(code: int) -> Expression:
    verdict = {"attrs": [("NFTA_DATA_VERDICT", {"attrs": [("NFTA_VERDICT_CODE", code)]})]}
    return _expression("immediate", {"dreg": 0, "data": verdict})


def _masquerade() -> Expression:
    return _expression("masq", {})


class _Transaction:
    """Changes that the kernel makes all at once or not at all."""

    def __init__(self) -> None:
        self._messages: list[bytes] = []
        self._add_limit(_BEGIN)

    def table(self, name: str) -> None:
        from pyroute2.netlink.nfnetlink.nftsocket import nft_table_msg

        self._add(nft_table_msg(), _NEW_TABLE, [("NFTA_TABLE_NAME", name)])

    def remove_table(self, name: str) -> None:
        from pyroute2.netlink.nfnetlink.nftsocket import nft_table_msg

        self._add(nft_table_msg(), _DELETE_TABLE, [("NFTA_TABLE_NAME", name)])

    def chain(self, table: str, name: str, hook: int, *, kind: str = "filter", priority: int = 0) -> None:
        from pyroute2.netlink.nfnetlink.nftsocket import nft_chain_msg

        where = {"attrs": [("NFTA_HOOK_HOOKNUM", hook), ("NFTA_HOOK_PRIORITY", priority)]}
        names = [("NFTA_CHAIN_TABLE", table), ("NFTA_CHAIN_NAME", name)]
        self._add(nft_chain_msg(), _NEW_CHAIN, [*names, ("NFTA_CHAIN_HOOK", where), ("NFTA_CHAIN_TYPE", kind)])

    def rule(self, table: str, chain: str, expressions: Rule) -> None:
        from pyroute2.netlink.nfnetlink.nftsocket import nft_rule_msg

        names = [("NFTA_RULE_TABLE", table), ("NFTA_RULE_CHAIN", chain)]
        self._add(nft_rule_msg(), _NEW_RULE, [*names, ("NFTA_RULE_EXPRESSIONS", expressions)])

    def commit(self, what: str) -> None:
        self._add_limit(_END)
        with step(what, _HINTS):
            _send(self._messages)

    def _add(self, message: Any, kind: int, attributes: list[tuple[str, Any]]) -> None:
        flags = _REQUEST | _ACK | (0 if kind == _DELETE_TABLE else _CREATE | _APPEND)
        self._messages.append(_encode(message, _SUBSYSTEM | kind, flags, len(self._messages), attributes))

    def _add_limit(self, kind: int) -> None:
        from pyroute2.netlink.nfnetlink import nfgen_msg

        message = nfgen_msg()
        message["res_id"] = _SUBSYSTEM >> 8
        self._messages.append(_encode(message, kind, _REQUEST, len(self._messages), []))


def _encode(message: Any, kind: int, flags: int, sequence: int, attributes: list[tuple[str, Any]]) -> bytes:
    message["nfgen_family"] = _FAMILY_IP
    message["attrs"] = attributes
    message["header"]["type"] = kind
    message["header"]["flags"] = flags
    message["header"]["sequence_number"] = sequence
    message.encode()
    return bytes(message.data)


def _send(messages: Sequence[bytes]) -> None:
    """Returns when the kernel has acknowledged every message; OSError with the first error."""
    awaited = sum(1 for message in messages if struct.unpack_from("=H", message, 6)[0] & _ACK)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER) as sock:
        sock.settimeout(_PATIENCE_S)
        sock.bind((0, 0))
        sock.sendto(b"".join(messages), (0, 0))
        while awaited > 0:
            answer = sock.recv(65536)
            for code in _codes(answer):
                if code:
                    raise OSError(code, os.strerror(code))
                awaited -= 1


def _codes(answer: bytes) -> Iterable[int]:
    """The error numbers of the acknowledgements in one datagram, 0 where all went well."""
    offset = 0
    while offset + 20 <= len(answer):
        length, kind = struct.unpack_from("=IH", answer, offset)
        if kind == 2:
            yield -struct.unpack_from("=i", answer, offset + 16)[0]
        offset += max((length + 3) & ~3, 16)


def _exists(table: str) -> bool:
    from pyroute2.netlink.nfnetlink.nftsocket import nft_table_msg

    attributes = [("NFTA_TABLE_NAME", table)]
    try:
        _send([_encode(nft_table_msg(), _SUBSYSTEM | _GET_TABLE, _REQUEST | _ACK, 0, attributes)])
    except OSError as error:
        if error.errno == errno.ENOENT:
            return False
        raise failed("use nftables", error.errno or 0, _HINTS) from error
    return True


def _remove(table: str) -> None:
    """Also of a kernel that has no nftables: there is nothing to remove then."""
    transaction = _Transaction()
    transaction.remove_table(table)
    transaction._add_limit(_END)
    try:
        _send(transaction._messages)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EINVAL):
            raise failed(f'remove the nftables table "{table}"', error.errno or 0) from error
