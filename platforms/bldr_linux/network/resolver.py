"""The resolver file of a sandbox on a bridge: the host's name servers that can be reached from there."""

from collections.abc import Sequence
from ipaddress import IPv4Address

# systemd-resolved lists the servers that it asks itself in the second; the first names only its stub, on loopback.
FILES = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
_KEPT = ("search", "domain", "options")
# Without a name server the C library asks 127.0.0.1, which nobody answers: better at once than after half a minute.
_NONE = "# No name server of the host can be reached from here.\noptions timeout:1 attempts:1\n"


def resolver_file(files: Sequence[str] = FILES) -> tuple[bytes, bool]:
    """The content, and whether it names a server. The first file that names one that is not on loopback counts."""
    for path in files:
        lines = _lines(path)
        servers = [line for line in lines if line.split()[0] == "nameserver" and _can_be_reached(line)]
        if servers:
            kept = [line for line in lines if line.split()[0] in _KEPT]
            return "".join(f"{line}\n" for line in (*kept, *servers)).encode(), True
    return _NONE.encode(), False


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file]
    except OSError:
        return []
    return [line for line in lines if line and line[0] not in "#;"]


def _can_be_reached(line: str) -> bool:
    """Sandboxes have no IPv6, and a loopback of their own."""
    words = line.split()
    try:
        address = IPv4Address(words[1])
    except (IndexError, ValueError):
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_link_local)
