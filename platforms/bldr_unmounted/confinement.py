"""The seam between the launcher of children and a platform: how a command is confined, and what that reaches."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from bldr.api import Isolation, Launch, SetupFailure, Usage
from bldr_unmounted.places import Command


class Scratch(msgspec.Struct, frozen=True):
    """The directories of one launch alone. `temps`: host paths by the sandbox paths of the spec's temps, all of them
    below `directory` ("" where there are none). Below it, the names depend on nothing but the spec."""

    directory: str
    temps: Mapping[str, str]


class RefusedError(Exception):
    """A launch that this platform cannot run as its spec wants it; `failure` is told as the launch's end."""

    def __init__(self, failure: SetupFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Confinement(Protocol):
    """What a platform does to the commands of its launcher."""

    def isolation(self, launch: Launch) -> Isolation:
        """What a launch reaches by running as `confine` says."""

    def confine(self, launch: Launch, command: Command, program: str, scratch: Scratch) -> tuple[str, ...]:
        """What to start instead of the command's argv, the first word a path; `program` is the command's executable,
        a path as the command would use it.

        Raises RefusedError, or OSError for an executable that nobody can run.
        """

    def close(self) -> None:
        """Remove what the confinement made below the launcher's root; nothing runs any more."""


class Sampling(Protocol):
    """Looks at what the processes of a launch use together, for limits that no kernel enforces here."""

    interval_s: float

    def usage(self, leader: int) -> Usage | None:
        """Of the leader and all its descendants at this moment; None where it is gone."""
