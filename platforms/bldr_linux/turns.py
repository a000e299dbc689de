"""Turns: launches that were handed over early wait in their cells for a place among those that run.

The places are a semaphore, eventfd(2), that all cells of a launcher share. Who ends well gives its place to whoever
waits for one, so that the next launch starts without the engine having heard of the end of the last.
"""

from __future__ import annotations

import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bldr_linux.running import Waiting


class Turns:
    """A cell's part in it: at most one launch waits here, and then `poll` hears of places that become free."""

    def __init__(self, fd: int, poll: select.poll) -> None:
        self._fd = fd
        self._poll = poll
        self.waiting: Waiting | None = None

    def take(self, waiting: Waiting) -> bool:
        """Take a place for a launch; False where there is none: it waits then, and is to ask again."""
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            if self.waiting is None:
                self.waiting = waiting
                self._poll.register(self._fd, select.POLLIN)
            return False
        waiting.has_turn = True
        self.give_up()
        return True

    def give_up(self) -> None:
        """Nobody waits any more."""
        if self.waiting is not None:
            self.waiting = None
            self._poll.unregister(self._fd)

    def leave(self) -> None:
        """Give a place to whoever is next."""
        os.eventfd_write(self._fd, 1)
