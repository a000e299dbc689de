"""Sentences for what the system refused, and the exit codes that a shell gives for it."""

import contextlib
import os

from bldr.api import Launch

HINT = "nothing is mounted in this sandbox: every path must exist on this machine"


def complain(launch: Launch, error: OSError | ValueError) -> int:
    """Say on the command's own standard error why it cannot run, as a shell does; the exit code is a shell's too."""
    complaint = f"bldr: {launch.argv[0]}: {reason(error)}\n".encode(errors="surrogateescape")
    with contextlib.suppress(OSError):  # nobody listens
        os.write(launch.stderr, complaint)
    return 127 if isinstance(error, FileNotFoundError) else 126


def reason(error: OSError | ValueError) -> str:
    """In lower case, with the file."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror.lower()}: {error.filename}" if error.filename else error.strerror.lower()
    return str(error)


def hint(error: OSError | ValueError) -> str:
    """What may help; "" where nobody knows."""
    return HINT if isinstance(error, FileNotFoundError) else ""
