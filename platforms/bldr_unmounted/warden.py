"""Ends what a launcher started when the launcher's process is gone and could not: where no kernel does it.

Linux kills the children of a process that ends (PR_SET_PDEATHSIG of prctl(2)); macOS has nothing of the kind.
"""

import contextlib
import os
import subprocess
import sys

_PROGRAM = """
import os, signal
groups, rest = set(), b""
while chunk := os.read(0, 65536):
    *lines, rest = (rest + chunk).split(b"\\n")
    for line in lines:
        number = int(line)
        groups.add(number) if number > 0 else groups.discard(-number)
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""


def is_needed() -> bool:
    """Whether the kernel leaves it to us."""
    return sys.platform != "linux"


class Warden:
    """A small process that hears of groups by a pipe, and kills those that are left when the pipe is closed."""

    def __init__(self) -> None:
        # No child inherits it, so that it is closed when this process ends, whatever ends it.
        reading, self._writing = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,  # what is typed at a terminal is not for it
            )
        except BaseException:
            os.close(self._writing)
            raise
        finally:
            os.close(reading)

    def add(self, group: int) -> None:
        """To be killed, unless it is taken back."""
        self._tell(group)

    def remove(self, group: int) -> None:
        """It has ended; to be called before its number may be somebody else's."""
        self._tell(-group)

    def close(self) -> None:
        """Kill what is left, and return when the warden is gone."""
        os.close(self._writing)
        self._process.wait()

    def _tell(self, number: int) -> None:
        with contextlib.suppress(BrokenPipeError):  # somebody killed it; what it was there for is still done otherwise
            os.write(self._writing, b"%d\n" % number)
