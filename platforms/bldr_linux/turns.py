"""Turns: launches that were handed over early wait in their cells for a place among those that run.

The places are a semaphore, eventfd(2), that all cells of a launcher share. Who ends well gives its place to whoever
waits for one, so that the next launch starts without the engine having heard of the end of the last. Which one has a
place now stands in a pipe that the engine reads when it wants to know.
"""

from __future__ import annotations

import os
import select
import sys

_PLACES_FD, _BEGUN_FD = 4, 5
LAST_FD = _BEGUN_FD
_NUMBER_BYTES = 8

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bldr_linux.running import Waiting


def settle(given: tuple[int, int]) -> None:
    """Put the descriptors, which came in this order and before any other but a socket, where a cell has them."""
    for given_fd, own_fd in zip(given, (_PLACES_FD, _BEGUN_FD)):  # noqa: B905 - of two
        if given_fd > own_fd:
            os.dup2(given_fd, own_fd, inheritable=False)


class Turns:
    """A cell's part in it: at most one launch waits here, and then `poll` hears of places that become free."""

    def __init__(self, poll: select.poll) -> None:
        self._poll = poll
        self.waiting: Waiting | None = None

    def take(self, waiting: Waiting) -> bool:
        """Take a place for a launch; False where there is none: it waits then, and is to ask again."""
        try:
            os.eventfd_read(_PLACES_FD)
        except BlockingIOError:
            if self.waiting is None:
                self.waiting = waiting
                self._poll.register(_PLACES_FD, select.POLLIN)
            return False
        waiting.has_turn = True
        self._tell(waiting.launch_id)
        self.give_up()
        return True

    def _tell(self, launch_id: int) -> None:
        try:  # noqa: SIM105 - contextlib is not imported here
            os.write(_BEGUN_FD, launch_id.to_bytes(_NUMBER_BYTES, sys.byteorder))
        except OSError:  # nobody reads it any more; or nobody has for thousands of launches
            pass

    def give_up(self) -> None:
        """Nobody waits any more."""
        if self.waiting is not None:
            self.waiting = None
            self._poll.unregister(_PLACES_FD)

    def leave(self) -> None:
        """Give a place to whoever is next."""
        os.eventfd_write(_PLACES_FD, 1)
