"""What happens to one launch, as frozen values in a fixed order.

    runtime_init_warnings  spawned  setup_finished  exited

`exited` comes exactly once and last, also when the set-up failed; then `spawned` and `setup_finished` are missing.
"""

import os
from collections.abc import Callable

import msgspec

from bldr.api import Exit, Shortfall


def _snake_case(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


class Status(msgspec.Struct, frozen=True, tag_field="status", tag=_snake_case):
    """One step in the life of a launch."""


class RuntimeInitWarnings(Status, frozen=True):
    """What the spec asks for and this launch will lack, with reasons and remedies; empty where nothing is missing."""

    shortfalls: tuple[Shortfall, ...]


class Spawned(Status, frozen=True):
    """The command's process exists: `pid` on this machine, and a `pidfd` that the `Process` closes.

    Both are -1 where the platform cannot tell. `supervisor_pid` is a process of which all that run in the sandbox
    descend.
    """

    pid: int
    pidfd: int
    supervisor_pid: int


class SetupFinished(Status, frozen=True):
    """The sandbox stands and the command was started in it."""


class Exited(Status, frozen=True):
    """All is over; every process of the launch is dead."""

    exit: Exit


OnStatus = Callable[[Status], None]
AnyStatus = RuntimeInitWarnings | Spawned | SetupFinished | Exited


def json_lines(descriptor: int) -> OnStatus:
    """Writes each status to a descriptor as one line of JSON; a reader that went away is no error."""

    def write(status: Status) -> None:
        values = msgspec.to_builtins(status)
        if isinstance(status, Spawned):
            del values["pidfd"]  # the number of a descriptor of ours is nothing to whoever reads
        if isinstance(status, Exited):
            values["exit"]["isolation"] = {name: level.name.lower() for name, level in status.exit.isolation.items()}
        line = msgspec.json.encode(values) + b"\n"
        try:
            while line:
                line = line[os.write(descriptor, line) :]
        except BrokenPipeError:
            return

    return write
