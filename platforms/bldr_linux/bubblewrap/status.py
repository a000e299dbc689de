"""What the caller is told on --info-fd and --json-status-fd, spelled as bubblewrap spells it."""

from __future__ import annotations

import os

from bldr_linux.bubblewrap.failure import FatalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bldr_linux.bubblewrap.values import Options


def namespaces(options: Options, pid: int, proc_fd: int) -> list[tuple[str, int]]:
    """Names and inode numbers of the namespaces that the process inside does not share with this one."""
    wanted = (
        ("cgroup", options.unshare_cgroup),
        ("ipc", options.unshare_ipc),
        ("mnt", True),
        ("net", options.unshare_net),
        ("pid", options.unshare_pid),
        ("uts", options.unshare_uts),
    )
    found = []
    for name, unshared in wanted:
        if unshared:
            try:
                found.append((name, os.stat(f"{pid}/ns/{name}", dir_fd=proc_fd).st_ino))
            except OSError:
                continue  # it may be dead already
    return found


def info(pid: int, found: list[tuple[str, int]]) -> str:
    """The document of --info-fd."""
    lines = [f'    "child-pid": {pid}', *(f'    "{name}-namespace": {inode}' for name, inode in found)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def started(pid: int, found: list[tuple[str, int]]) -> str:
    """The first document of --json-status-fd."""
    parts = [f'"child-pid": {pid}', *(f'"{name}-namespace": {inode}' for name, inode in found)]
    return "{ " + ", ".join(parts) + " }\n"


def ended(exit_code: int) -> str:
    """The last document of --json-status-fd."""
    return f'{{ "exit-code": {exit_code} }}\n'


def write(fd: int, document: str) -> None:
    """Write a document whole."""
    content = document.encode()
    try:
        while content:
            content = content[os.write(fd, content) :]
    except OSError as error:
        raise FatalError.of("Write to info_fd", error) from error
