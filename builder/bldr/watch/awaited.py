"""Waits for the build of a watcher that was asked for it, and says what that said. Imported by who has to wait."""

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bldr.watch.client import WAIT

if TYPE_CHECKING:
    import _socket

ALIVE_S = 2.0
"""A watcher that says nothing for so long is stopped, or worse."""

_SILENT_S = 1.0
"""A build that takes longer is worth a word meanwhile."""

WAITING = "warning: bldr watch builds this already: waiting for it\nhint: ^C ends the waiting, not the build\n"


def answer_behind(connection: "_socket.socket", begun: bytes, words: Sequence[str]) -> bytes:
    """The answer for which the watcher lets us wait; `begun` is what came of it, `words` are the command line.

    Raises OSError where the watcher shows no sign of life.
    """
    connection.settimeout(ALIVE_S)
    told_s = time.monotonic() + _SILENT_S
    is_silent = not {"-q", "--quiet"}.isdisjoint(words)
    answer = begun
    while piece := connection.recv(1 << 20):
        answer += piece
        while answer.startswith(WAIT):
            answer = answer[len(WAIT) :]
        if not is_silent and time.monotonic() > told_s:
            _write(WAITING)
            is_silent = True
    return answer


def repeat(said: bytes) -> int | None:
    """Say what a build said; its exit code. None where that is not whole."""
    fields = said.split(b"\0")
    if len(fields) != 4 or fields[-1] or not fields[0].isdigit():
        return None
    stderr, stdout = (field.decode("utf-8", "surrogatepass") for field in fields[1:3])
    _write(stderr)
    sys.stdout.write(stdout)
    return int(fields[0])


def _write(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:  # nobody reads it: the exit code has to do, as after a build
        return
