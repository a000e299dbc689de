"""What the listener of a filter tells: who made which forbidden call, as the kernel reports it."""

import ctypes
import errno
import os
import select
import socket

import pytest

from bldr_linux import seccomp, syscalls, violations

MACHINE = os.uname().machine
libc = ctypes.CDLL(None, use_errno=True)

if MACHINE not in seccomp.MACHINES:
    pytest.skip(f"no filter is written down for {MACHINE}", allow_module_level=True)


@pytest.fixture
def suspect():
    """Runs a function in a process below the filter: (its process id, the filter's listener)."""
    pids, fds = [], []

    def start(function):
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            try:
                syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
                listener = syscalls.install_filter(seccomp.program(MACHINE, "kill"), listener=True)
                socket.send_fds(theirs, [b"x"], [listener])
                os.close(listener)
                function()
                os._exit(0)
            finally:
                os._exit(1)
        pids.append(pid)
        with ours, theirs:
            _, (listener,), _, _ = socket.recv_fds(ours, 1, 1)
        fds.append(listener)
        return pid, listener

    yield start
    for pid in pids:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    for fd in fds:
        os.close(fd)


def wait(listener):
    assert select.select([listener], [], [], 60)[0], "nothing was forbidden"


def call(number, *arguments):
    arguments = [ctypes.c_ulong(value) for value in (*arguments, *(0,) * 6)[:6]]
    return libc.syscall(ctypes.c_long(number), *arguments)


def forbidden():
    """Every call that is forbidden: (its name, number, arguments)."""
    plain = {name: number for name, number in seccomp.denied(MACHINE).items() if number not in (425, 426, 427, 435)}
    special = seccomp.special(MACHINE)
    return [
        *((name, number, ()) for name, number in plain.items()),
        ("clone(CLONE_NEWUSER)", special["clone"], (0x10000011,)),
        ("unshare(CLONE_NEWTIME)", special["unshare"], (0x80,)),
        ("unshare(CLONE_NEWNS|CLONE_NEWNET)", special["unshare"], (0x40020000,)),
        ("ioctl(TIOCSTI)", special["ioctl"], (0, 0x5412)),
        ("ioctl(TIOCLINUX)", special["ioctl"], (0, 7 << 40 | 0x541C)),
    ]


@pytest.mark.parametrize(
    ("name", "number", "arguments"), forbidden(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_forbidden_call_is_told_by_name(suspect, name, number, arguments):
    pid, listener = suspect(lambda: call(number, *arguments))
    wait(listener)
    assert violations.receive(listener, MACHINE) == (pid, name)
    assert os.waitpid(pid, os.WNOHANG) == (0, 0), "it does not come back from the call"


def test_a_caller_that_has_gone_is_nobody(suspect):
    pid, listener = suspect(lambda: call(seccomp.denied(MACHINE)["mount"]))
    wait(listener)
    os.kill(pid, 9)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert violations.receive(listener, MACHINE) is None


def test_a_call_that_nobody_hears_of_does_not_happen():
    """The end of the launcher is the end of the listener."""
    pid = os.fork()
    if pid == 0:
        try:
            syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
            os.close(syscalls.install_filter(seccomp.program(MACHINE, "kill"), listener=True))
            failed = call(seccomp.special(MACHINE)["unshare"], 0x10000000) == -1
            os._exit(7 if failed and ctypes.get_errno() == errno.ENOSYS else 0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_no_other_listener_can_be_installed(suspect):
    """It would answer in place of ours."""
    allow = seccomp.program(MACHINE)[-8:]
    reading, writing = os.pipe()

    def ask():
        try:
            syscalls.install_filter(allow, listener=True)
        except OSError as error:
            os.write(writing, str(error.errno).encode())

    suspect(ask)
    os.close(writing)
    assert os.read(reading, 9) == str(errno.EBUSY).encode()
    os.close(reading)
