"""Process 1 of a container that runs nothing but bldr: it reaps what has no parent any more, and passes signals on.

Linux spares a first process the signals that it has no handler for, and gives it every orphan to wait for. What bldr
runs expects neither, so bldr itself becomes the child of a process that does no more than that.
"""

import os
import signal

_SIGCHLD = getattr(signal, "SIGCHLD", 0)
_SENT_BY_A_PROCESS = 0  # si_code of kill(2); a terminal's keys come from the kernel, and reach the child as well
_OF_THE_LEADER = getattr(signal, "SIGHUP", 0)  # a terminal that hangs up tells the leader of its session alone


def become_second() -> None:
    """Return in a child; the parent stays behind, and ends as the child does."""
    signal.signal(_SIGCHLD, signal.SIG_DFL)  # where it is ignored, nobody can be waited for
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    os._exit(_follow(child))


def _follow(child: int) -> int:
    """Wait for everybody until the child has ended: its exit code, as a shell says it."""
    while True:
        received = signal.sigwaitinfo(signal.valid_signals())
        if received.si_signo != _SIGCHLD:
            if received.si_code <= _SENT_BY_A_PROCESS or received.si_signo == _OF_THE_LEADER:
                os.kill(child, received.si_signo)  # a zombie at worst: nobody else waits for it
            continue
        status = _reap(child)
        if status is not None:
            code = os.waitstatus_to_exitcode(status)
            return 128 - code if code < 0 else code


def _reap(child: int) -> int | None:
    """Wait for all who are dead; the child's status where it is among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            found = status
