"""The caller's seccomp programs, read from descriptors; seccomp(2)."""

from __future__ import annotations

import errno

from bldr_linux import syscalls
from bldr_linux.bubblewrap import descriptors
from bldr_linux.bubblewrap.failure import FatalError

_INSTRUCTION_BYTES = 8


def load(fd: int) -> bytes:
    """One program."""
    program = descriptors.read_all(fd, "Can't read seccomp data")
    if len(program) % _INSTRUCTION_BYTES:
        raise FatalError("Invalid seccomp data, must be multiple of 8")
    return program


def install(programs: list[bytes]) -> None:
    """Install them on this process and on what it starts."""
    for program in programs:
        try:
            syscalls.install_filter(program)
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise FatalError(
                    "Unable to set up system call filtering as requested: prctl(PR_SET_SECCOMP) reported EINVAL. "
                    "(Hint: this requires a kernel configured with CONFIG_SECCOMP and CONFIG_SECCOMP_FILTER.)"
                ) from error
            raise FatalError.of("prctl(PR_SET_SECCOMP)", error) from error
