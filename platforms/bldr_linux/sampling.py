"""What all processes of a sandbox use together, as its pid 1 can see it in /proc: for machines without control groups.

What ends between two looks is missed, and memory that is neither mapped nor in a file is not seen. proc(5).
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_KIB = 1024
# Of /proc/PID/stat, counted from the field after the name: utime, stime, cutime, cstime, num_threads.
_USER, _SYSTEM, _CHILDREN_USER, _CHILDREN_SYSTEM, _THREADS = 11, 12, 13, 14, 17


def processes() -> list[str]:
    """The numbers of all processes, pid 1 included, as names below /proc."""
    return [name for name in os.listdir("/proc") if name.isdigit()]


def cpu_and_threads() -> tuple[float, int]:
    """Processor time of every process but pid 1 in seconds, the reaped included, and the threads that are alive."""
    ticks = threads = 0
    for name in processes():
        fields = _read(name, "stat").rpartition(b")")[2].split()
        if not fields:
            continue
        if name != "1":
            ticks += int(fields[_USER]) + int(fields[_SYSTEM])
            threads += int(fields[_THREADS])
        ticks += int(fields[_CHILDREN_USER]) + int(fields[_CHILDREN_SYSTEM])
    return ticks / _TICKS_PER_S, threads


def memory_bytes(temporary: Sequence[str]) -> int:
    """Memory of every process but pid 1 that no file stands behind, and what file systems in memory hold.

    What several processes share counts for each.
    """
    total_kib = 0
    for name in processes():
        if name != "1":
            for line in _read(name, "status").splitlines():
                if line.startswith((b"RssAnon:", b"RssShmem:", b"VmSwap:")):
                    total_kib += int(line.split()[1])
    return total_kib * _KIB + sum(map(_held, temporary))


def _held(path: str) -> int:
    """Bytes in use on the file system at a path; statvfs(3)."""
    found = os.statvfs(path)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def _read(process: str, name: str) -> bytes:
    """A file of a process; empty when it is gone."""
    try:
        fd = os.open(f"/proc/{process}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, 8192)
    except ProcessLookupError:
        return b""
    finally:
        os.close(fd)
