"""A platform that runs nothing: a function says how each launch ends."""

import os
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from bldr.api.sandbox import GUARANTEES, LIMITS, Exit, Isolation, Launch, Level, Probe, Started, Usage

Answer = Callable[[Launch], Exit | int]
"""How a launch ends: an `Exit`, or an exit code. It may write below `launch.tree.upper`, as the command would."""


def exit_zero(launch: Launch) -> int:  # noqa: ARG001  # an Answer
    """Every command succeeds and makes nothing."""
    return 0


class FakeSandbox:
    """A `bldr.api.Sandbox` with every guarantee of `isolation`, which is all of them where it is not said.

    `launches` are those that it was given, in order. Nothing of the machine is used.
    """

    name = "fake"
    tree_layout: Literal["overlay", "copy"] = "overlay"

    def __init__(self, answer: Answer = exit_zero, isolation: Isolation | None = None) -> None:
        self.launches: list[Launch] = []
        self.isolation = dict.fromkeys((*GUARANTEES, *LIMITS), Level.KERNEL) if isolation is None else isolation
        self._answer = answer

    def probe(self) -> Probe:
        return Probe(self.name, True, dict(self.isolation))

    def open(self, root: str, *, map_caller: bool = False, outlives: bool = False) -> "FakeLauncher":  # noqa: ARG002
        return FakeLauncher(self)

    def answer(self, launch: Launch) -> Exit:
        """How this launch ends."""
        self.launches.append(launch)
        answer = self._answer(launch)
        if isinstance(answer, int):
            answer = Exit(launch_id=launch.launch_id, exit_code=answer, usage=Usage(wall_s=0.001))
        return msgspec.structs.replace(answer, launch_id=launch.launch_id, isolation=dict(self.isolation))


class FakeLauncher:
    """Answers at once; its descriptor is that of a pipe, readable while somebody has something to fetch."""

    def __init__(self, sandbox: FakeSandbox) -> None:
        self._sandbox = sandbox
        self._ended: list[Exit] = []
        self._started: list[Started] = []
        self._reading, self._writing = os.pipe()

    @property
    def owner(self) -> tuple[int, int] | None:
        return None

    def fileno(self) -> int:
        return self._reading

    def start(self, launch: Launch) -> None:
        if launch.announce:
            self._started.append(Started(launch.launch_id))
        self._ended.append(self._sandbox.answer(launch))
        os.write(self._writing, b".")

    def kill(self, launch_id: int) -> None:
        """Whatever was started has ended."""

    def signal(self, launch_id: int, number: int) -> None:
        """Whatever was started has ended."""

    def measure(self, launch_id: int) -> Usage | None:  # noqa: ARG002  # the protocol's
        return None

    def started(self) -> Sequence[Started]:
        found, self._started = self._started, []
        return found

    def reap(self) -> Sequence[Exit]:
        if self._ended:
            os.read(self._reading, len(self._ended))
        found, self._ended = self._ended, []
        return found

    def close(self) -> None:
        if self._reading >= 0:
            os.close(self._reading)
            os.close(self._writing)
            self._reading = -1
