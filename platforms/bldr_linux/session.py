"""The session that a launcher leads: every cell and every pid 1 of its is in it, whatever else died."""

import contextlib
import os
import signal


def kill(session: int) -> bool:
    """Kill whoever is in a session; whether anybody was."""
    found = False
    for name in os.listdir("/proc"):
        if name.isdigit() and is_member(name, session):
            found = True
            with contextlib.suppress(OSError):
                fd = os.pidfd_open(int(name))
                try:
                    # The number may have become a stranger's before it was opened, but not since.
                    if is_member(name, session):
                        signal.pidfd_send_signal(fd, signal.SIGKILL)
                finally:
                    os.close(fd)
    return found


def is_member(name: str, session: int) -> bool:
    with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
        state, _, _, of_process, *_ = file.read().rpartition(b")")[2].split()
        # A dead one may lie about for ever where the machine's own first process does not reap.
        return int(of_process) == session and state not in (b"Z", b"X")
    return False
