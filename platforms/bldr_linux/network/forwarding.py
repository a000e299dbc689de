"""Forwarding of IPv4, turned on for a bridge and the interfaces that lead out, and put back after the last of them.

The switch of the whole host is left alone: it would make a router of every interface, and other programs that need
forwarding look at it to decide whether to turn it on themselves.
"""

import errno
import os
from collections.abc import Iterable

from bldr_linux.network import firewall
from bldr_linux.network.failures import READ_ONLY_SYSCTL, step
from bldr_linux.network.state import Forwarding, State

_HOST = "/proc/sys/net/ipv4/ip_forward"
_HINTS = dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), READ_ONLY_SYSCTL)


def turn_on(state: State, bridge: str, uplinks: Iterable[str]) -> None:
    """Idempotent; interfaces that forward already stay as they are and are not put back."""
    if _read(_HOST) == "1":
        _leave(state)
        return
    known = state.forwarding()
    interfaces = tuple(sorted({*known.interfaces, *(name for name in uplinks if _read(_switch(name)) == "0")}))
    wanted = Forwarding(interfaces, tuple(record.name for record in state.bridges() if record.nat))
    if interfaces and (wanted != known or not firewall.has_guard()):
        state.put_forwarding(Forwarding(interfaces))
        firewall.put_guard(wanted.bridges, interfaces)
        state.put_forwarding(wanted)
    for name in (bridge, *interfaces):
        if os.path.exists(_switch(name)) and _read(_switch(name)) == "0":
            with step(f'turn forwarding on for "{name}"', _HINTS):
                _write(_switch(name), "1")


def put_back(state: State) -> None:
    """Idempotent. Where the whole host was made to forward meanwhile, somebody else counts on it."""
    interfaces = state.forwarding().interfaces
    if not interfaces:
        return
    if _read(_HOST) == "0":
        for name in interfaces:
            if os.path.exists(_switch(name)):
                with step(f'turn forwarding off for "{name}"', _HINTS):
                    _write(_switch(name), "0")
    _leave(state)


def _leave(state: State) -> None:
    """As it is now, unguarded."""
    if state.forwarding().interfaces:
        firewall.remove_guard()
        state.put_forwarding(Forwarding())


def _switch(name: str) -> str:
    return f"/proc/sys/net/ipv4/conf/{name}/forwarding"


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def _write(path: str, value: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)
