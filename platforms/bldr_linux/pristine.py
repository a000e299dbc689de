"""Whether a network namespace tells of nothing that happened in it: its counters and sockets are as when it was made.

Every packet counts in `dev` (there is no way out but loopback, so what is sent is also received), every attempt to
send one in `snmp`, `snmp6` or `netstat`; a socket that lives on, be it one that waits or one that is on its way in
another socket, counts in `sockstat`, and one with an abstract name stands in `unix` besides; who only looked up a
route holds it in `ipv6_route`. What would be sent later, for a multicast group that somebody joined and left, is sent
at once or not at all when older protocols are spoken. proc_net(5), `Documentation/networking/ip-sysctl.rst`.
"""

from __future__ import annotations

import os

_TEXT_BYTES = 1 << 16
# Of these the whole machine has one count only.
_OF_THE_MACHINE = (b"orphan", b"alloc", b"mem")
_NAMES = (
    "dev", "snmp", "netstat", "sockstat", "sockstat6", "snmp6", "dev_snmp6/lo", "unix", "igmp", "igmp6", "mcfilter",
    "mcfilter6", "ipv6_route", "rt6_stats", "ip6_flowlabel",
)  # fmt: skip
_WITH_OURS = ("sockstat", "unix")
_MULTICAST_VERSIONS = ("ipv4/conf/lo/force_igmp_version", "ipv6/conf/lo/force_mld_version")


_UNNAMED_FIELDS = 7  # of a socket in `unix`: an eighth is its name


class Network:
    """Owns descriptors of the tables of the network namespace that the calling process is in, and their first content.

    To be made when the namespace is new and holds no socket.
    """

    def __init__(self) -> None:
        self._is_quiet = all(map(_set_first, _MULTICAST_VERSIONS))
        self._tables: list[tuple[int, bytes]] = []
        self._counts: list[tuple[int, str, object]] = []
        for name in _NAMES:
            try:
                fd = os.open(f"/proc/self/net/{name}", os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:  # the kernel is made without it
                continue
            if name in _WITH_OURS:
                self._counts.append((fd, name, _count(fd, name, 0)))
            else:
                self._tables.append((fd, os.pread(fd, _TEXT_BYTES, 0)))

    def is_pristine(self, own_sockets: int) -> bool:
        """Whether all tables are what they were, but for UNIX sockets of our own that are in the namespace now.

        Never where it cannot be kept from sending something later.
        """
        if not self._is_quiet:
            return False
        for fd, content in self._tables:
            # No more than shows that it is longer: room for much takes longer to get than the answer.
            if os.pread(fd, len(content) + 1, 0) != content:
                return False
        return all(_count(fd, name, own_sockets) == content for fd, name, content in self._counts)

    def close(self) -> None:
        """Let go of the namespace."""
        for fd in (*(fd for fd, _ in self._tables), *(fd for fd, _, _ in self._counts)):
            os.close(fd)
        self._tables.clear()
        self._counts.clear()


def _count(fd: int, name: str, own_sockets: int) -> object:
    """What a table tells besides our own sockets."""
    text = os.pread(fd, _TEXT_BYTES, 0)
    if name == "sockstat":
        words = text.split()
        kept = [word for word, before in zip(words[1:], words, strict=False) if before not in _OF_THE_MACHINE]
        # "used" is the first number.
        return [int(kept[1]) - own_sockets, *kept[2:]]
    lines = text.count(b"\n")
    # The table's head has a word more than a socket that has no name.
    if len(text.split()) == _UNNAMED_FIELDS * lines + 1:
        return lines - own_sockets, []
    return lines - own_sockets, [line for line in text.splitlines() if len(line.split()) > _UNNAMED_FIELDS]


def _set_first(name: str) -> bool:
    """Choose the first version of a protocol; True too where the kernel does not have it."""
    try:
        fd = os.open(f"/proc/sys/net/{name}", os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        os.write(fd, b"1")
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
