"""What a launch may leave in its IPC namespace, taken away before its end is told.

The kernel frees the namespace itself, but some time later, and until then what it holds counts against the limits of
the user (locked memory, bytes of message queues), who is the next launch's user too where a cell keeps its namespaces.
"""

from __future__ import annotations

import fcntl
import os

from bldr_linux import syscalls
from bldr_linux.apply import attach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bldr_linux.root import Root

_ATTRIBUTES = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV | syscalls.MOUNT_ATTR_NOEXEC
_FD_AT_LEAST = 63


class Interprocess:
    """Made by pid 1 in a fresh IPC namespace while it may still mount.

    The message queues are mounted at `place` below `root` ("": nowhere), see `plan.Base`; `queues_fd` is their
    directory, -1 where the kernel has none.
    """

    def __init__(self, root: Root, place: str) -> None:
        self.queues_fd = -1
        try:
            mount_fd = syscalls.new_mount("mqueue", {}, _ATTRIBUTES)
        except OSError:  # a kernel without queues
            return
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mount_fd)
        # Out of the way of standard streams, which come later.
        self.queues_fd = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FD_AT_LEAST)
        os.close(fd)
        if place:
            attach(root, place, mount_fd, directory=True)
        else:
            os.close(mount_fd)

    def close(self) -> None:
        """Let go of it without having looked."""
        if self.queues_fd >= 0:
            os.close(self.queues_fd)

    def clear(self) -> None:
        """Remove message queues and shared memory, when no other process is left. Needs two free descriptors."""
        try:
            for name in os.listdir(self.queues_fd) if self.queues_fd >= 0 else ():
                syscalls.remove_queue(name)
            with open("/proc/sysvipc/shm", "rb", buffering=0) as file:
                for line in file.read().splitlines()[1:]:
                    syscalls.remove_shared_memory(int(line.split()[1]))
        except OSError:
            return  # the kernel does it later
