"""Makes namespaces one kind after another and tells the first that is refused: a program of its own, see `causes`."""

from __future__ import annotations

import marshal
import os

from bldr_linux import syscalls

KINDS = {
    "mnt": 0x20000, "pid": 0x20000000, "net": 0x40000000, "ipc": 0x8000000, "uts": 0x4000000, "cgroup": 0x2000000,
}  # fmt: skip
_CLONE_NEWUSER = 0x10000000


def main(owner: tuple[int, int] | None) -> None:
    """Write (step, errno) to standard output, nothing where all of it works."""
    step = "owner"
    try:
        if owner is not None:
            _become(*owner)
        uid, gid = os.geteuid(), os.getegid()
        step = "user"
        syscalls.unshare(_CLONE_NEWUSER)
        step = "maps"
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            _write(f"/proc/self/{name}", text)
        for step, flag in KINDS.items():  # noqa: B007 - told where it is refused
            syscalls.unshare(flag)
        step = "private"
        syscalls.make_mounts_private()
    except OSError as error:
        os.write(1, marshal.dumps((step, error.errno or 0)))


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)  # or the maps would be root's to write


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
