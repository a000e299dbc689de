"""The caller's seccomp programs: read, installed in order, on pid 1 too."""

import errno
import os
import struct

import pytest

ALLOW, ERRNO = 0x7FFF0000, 0x00050000
NUMBERS = {"x86_64": {"uname": 63, "getppid": 110}, "aarch64": {"uname": 160, "getppid": 173}}


def program(call, code):
    """Answer one system call with an error and allow all others."""
    number = NUMBERS[os.uname().machine][call]
    instructions = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, ERRNO | code), (0x06, 0, 0, ALLOW)]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)


@pytest.mark.parametrize("option", ["--seccomp", "--add-seccomp-fd"])
def test_one_program(bwrap, host, pipe, option):
    fd = pipe(program("uname", errno.EDOM))
    ran = bwrap.run(*host, option, fd, "uname", fds=(fd,))
    assert "Numerical argument out of domain" in ran.stderr


def test_several_programs(bwrap, host, pipe):
    """All are in force, and the last one's error is the answer."""
    fds = pipe(program("uname", errno.EDOM)), pipe(program("getppid", errno.EPERM)), pipe(program("uname", errno.EXDEV))
    words = [word for fd in fds for word in ("--add-seccomp-fd", fd)]
    ran = bwrap.shell("uname; grep Seccomp_filters /proc/self/status", *host, *words, fds=fds)
    assert "Invalid cross-device link" in ran.stderr
    assert ran.stdout.split() == ["Seccomp_filters:", "3"]


@pytest.mark.parametrize("words", [[], ["--unshare-pid"]])
def test_programs_hold_for_pid_1_too(bwrap, host, pipe, words):
    fd = pipe(program("uname", errno.EDOM))
    # pid 1 has its own when it has started the command, as bubblewrap's has.
    wait = "for i in 1 2 3 4 5 6 7 8 9; do grep -q 'Seccomp:.2' /proc/$0/status && break; sleep 1; done"
    script = f"{wait}; grep Seccomp: /proc/$0/status /proc/self/status | cut -d: -f3"
    pid = "1" if words else "self"
    ran = bwrap.run(*host, *words, "--proc", "/proc", "--seccomp", fd, "sh", "-c", script, pid, fds=(fd,))
    assert ran.stdout.split() == ["2", "2"]


@pytest.mark.parametrize("option", ["--seccomp", "--add-seccomp-fd"])
def test_half_an_instruction(bwrap, host, pipe, option):
    fd = pipe(b"12345")
    ran = bwrap.run(*host, option, fd, "true", fds=(fd,))
    assert (ran.returncode, ran.stderr) == (1, "bwrap: Invalid seccomp data, must be multiple of 8\n")


def test_no_program_at_all(bwrap, host):
    ran = bwrap.run(*host, "--add-seccomp-fd", "77", "true")
    assert ran.stderr == "bwrap: Can't read seccomp data: Bad file descriptor\n"


def test_a_program_that_the_kernel_refuses(bwrap, host, pipe):
    fd = pipe(b"\xff" * 8)
    ran = bwrap.run(*host, "--seccomp", fd, "true", fds=(fd,))
    assert (ran.returncode, "reported EINVAL" in ran.stderr) == (1, True)
