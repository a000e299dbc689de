"""The one way in which the stand-in fails, and how a message looks."""

from __future__ import annotations

import errno
import os

_ERROR, _WARNING = 3, 4


class FatalError(Exception):
    """A message that ends the process with exit status 1."""

    @classmethod
    def of(cls, what: str, error: OSError) -> FatalError:
        """What was tried, and what the system said."""
        return cls(f"{what}: {os.strerror(error.errno or 0)}")

    @classmethod
    def of_mount(cls, what: str, error: OSError) -> FatalError:
        """The same of a mount, where "no space" means a limit and not a disk."""
        if error.errno == errno.ENOSPC:
            reason = (
                "Limit exceeded (ENOSPC). (Hint: Check that /proc/sys/fs/mount-max is sufficient, typically 100000)"
            )
            return cls(f"{what}: {reason}")
        return cls.of(what, error)


class Messages:
    """Writes messages under the name that the program was called by."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.with_level = False

    def error(self, text: str) -> None:
        self._write(_ERROR, text)

    def warning(self, text: str) -> None:
        self._write(_WARNING, text)

    def _write(self, level: int, text: str) -> None:
        prefix = f"<{level}>" if self.with_level else ""
        line = os.fsencode(f"{prefix}{self.name}: {text}\n")
        try:
            os.write(2, line)
        except OSError:
            return  # nobody listens, and the exit status says it too
