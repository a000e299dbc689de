"""Whether anything was mounted or unmounted on this machine: what was copied before is not up to date then."""

import os
import select


class Mounts:
    """Owns a descriptor of this process's mount table; proc_pid_mountinfo(5)."""

    def __init__(self) -> None:
        self._fd = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLPRI)

    def changed(self) -> bool:
        """Whether the table has changed since it was asked for the last time."""
        return bool(self._poll.poll(0))

    def close(self) -> None:
        """Close the descriptor, once."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
