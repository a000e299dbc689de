"""What is asked of a profile: targets of operations, and the links of a Mac, which the kernel has resolved by then."""

import os
from typing import NamedTuple

from seatbelt import operations


class Target(NamedTuple):
    """What an operation is about; None where it is not of that kind."""

    path: str | None = None
    vnode_type: str = "REGULAR-FILE"
    extension: str | None = None
    name: str | None = None
    process: str | None = None
    protocol: str | None = None
    remote: tuple[str, int] | None = None
    local: tuple[str, int] | None = None


_LINKS = {
    "/tmp": "private/tmp",
    "/var": "private/var",
    "/etc": "private/etc",
    "/home": "/System/Volumes/Data/home",
    "/private/etc/localtime": "/var/db/timezone/zoneinfo/UTC",
    "/private/etc/resolv.conf": "../var/run/resolv.conf",
    "/usr/share/zoneinfo": "/var/db/timezone/zoneinfo",
    "/private/var/select/sh": "/bin/bash",
    "/private/var/select/developer_dir": "/Library/Developer/CommandLineTools",
    "/dev/stdin": "fd/0",
    "/dev/stdout": "fd/1",
    "/dev/stderr": "fd/2",
    "/System/Library/Frameworks/CoreFoundation.framework/Versions/Current": "A",
    "/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation": "Versions/Current/CoreFoundation",
    "/Library/Developer/CommandLineTools/SDKs/MacOSX.sdk": "MacOSX14.5.sdk",
    "/Library/Developer/CommandLineTools/Library/Frameworks/Python3.framework/Versions/Current": "3.9",
}
_MOST_LINKS = 40


class Mac:
    """The links of a machine. A path that a program asks for is not the one that the kernel asks the profile about."""

    def __init__(self, links: dict[str, str] | None = None) -> None:
        self._links = {**_LINKS, **(links or {})}

    def resolve(self, path: str, *, follow: bool = True) -> tuple[str, tuple[str, ...]]:
        """What the kernel sees, and the links that it read on its way; `follow` the last name, too."""
        done, read = "", []
        left = [name for name in path.split("/") if name]
        while left:
            name = left.pop(0)
            if name == "..":
                done = os.path.dirname(done).rstrip("/")
                continue
            at = f"{done}/{name}"
            target = self._links.get(at) if left or follow else None
            if target is None:
                done = at
                continue
            read.append(at)
            if len(read) > _MOST_LINKS:
                raise OSError(62, "too many links", path)
            left = [part for part in target.split("/") if part] + left
            done = "" if target.startswith("/") else done
        return done or "/", tuple(read)


_NO_FOLLOW = ("file-write-unlink", "file-write-create", "file-link")


def question(text: str, mac: Mac) -> list[tuple[str, Target]]:
    """What the kernel asks where a program does what `text` says: an operation and its target, as a table has them.

    file-read-data /etc/localtime       and metadata of every link on the way
    file-write-data|CHARACTER-DEVICE /dev/null
    file-write-data|TTY+com.apple.sandbox.pty /dev/ttys004      the process was given this extension for it
    lstat /tmp                          the link itself
    mach-lookup com.apple.logd
    network-outbound tcp 127.0.0.1:80
    network-outbound unix /private/var/run/mDNSResponder
    signal others
    sysctl-read hw.ncpu
    """
    operation, _, rest = text.partition(" ")
    operation, _, vnode_type = operation.partition("|")
    vnode_type, _, extension = vnode_type.partition("+")
    is_link = operation == "lstat"
    operation = "file-read-metadata" if is_link else operation
    if operation not in operations.SINGLE:
        raise ValueError(f"a question about {operation!r}")
    kind = operations.kind(operation)
    if kind == "path":
        path, links = mac.resolve(rest, follow=not is_link and operation not in _NO_FOLLOW)
        looks = [("file-read-metadata", Target(path=link, vnode_type="SYMLINK")) for link in links]
        found = Target(path=path, vnode_type=vnode_type or "REGULAR-FILE", extension=extension or None)
        return [*looks, (operation, found)]
    if kind == "network":
        return [(operation, _address(operation, rest, mac))]
    if kind == "process":
        return [(operation, Target(process=rest))]
    return [(operation, Target(name=rest or None))]


def _address(operation: str, rest: str, mac: Mac) -> Target:
    protocol, _, there = rest.partition(" ")
    if protocol == "unix":
        return Target(path=mac.resolve(there)[0], vnode_type="SOCKET", protocol="unix")
    host, _, port = there.rpartition(":")
    address = (host, int(port))
    if operation == "network-outbound":
        return Target(protocol=protocol, remote=address, local=("0.0.0.0", 0))
    return Target(protocol=protocol, local=address)
