"""Hears of forbidden system calls from the listener of a filter that was made with on_violation "kill".

Whoever made the call waits in it, and the call never happens: not when the listener stays silent, not when it dies.
Source: seccomp_unotify(2), `include/uapi/linux/seccomp.h`.
"""

from __future__ import annotations

import errno
import fcntl

from bldr_linux import seccomp

_RECEIVE = 0xC0502100  # SECCOMP_IOCTL_NOTIF_RECV
_BYTES = 80  # struct seccomp_notif: id, pid, flags, then struct seccomp_data
_PID, _NUMBER, _ARGUMENTS = 8, 16, 32


def receive(listener_fd: int, machine: str) -> tuple[int, str] | None:
    """Who made the next forbidden call, and its name; None when the caller has gone meanwhile.

    The process id is the one that this process knows, 0 where it knows none. To be called when the listener is
    readable: otherwise it waits.
    """
    notification = bytearray(_BYTES)  # the kernel insists on zeros
    try:
        fcntl.ioctl(listener_fd, _RECEIVE, notification)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise
    arguments = tuple(_integer(notification, _ARGUMENTS + 8 * index, 8) for index in range(6))
    number = _integer(notification, _NUMBER, 4)
    return _integer(notification, _PID, 4), seccomp.name(machine, number, arguments)


def _integer(content: bytearray, offset: int, size_bytes: int) -> int:
    return int.from_bytes(content[offset : offset + size_bytes], "little")
