"""The platform that the hook registers."""

import contextlib
import os
from typing import Literal

import msgspec

from bldr.api import GUARANTEES, LIMITS, Isolation, Launcher, Level, Probe
from bldr_linux import compiled, probe
from bldr_linux.cgroups.tree import no_tree, open_tree
from bldr_linux.client import LinuxLauncher
from bldr_linux.spawn import Process, get_ready, start

PROMISED: Isolation = {
    **dict.fromkeys((*GUARANTEES, *LIMITS), Level.KERNEL),
    **dict.fromkeys(("wall-time", "cpu", "output", "disk", "log"), Level.SUPERVISED),
}
"""What a machine gives that holds nothing back."""
_COUNTS = b"processes are counted"
_COMPILED = "its first process is compiled"
_NOT_COMPILED = (
    "its first process runs in Python, and launches take longer: install bldr again where there is a C compiler"
)
_CELLS_AT_MOST = 4  # made before the first launch: they enter their control groups while the caller plans


class LinuxSandbox:
    """Namespaces, an overlay and a system call filter for every action; see `bldr.api.Sandbox`."""

    name = "linux"
    tree_layout: Literal["overlay", "copy"] = "overlay"
    promised = PROMISED
    opens_stdout = True
    starter = "bldr_linux.spawn"

    def __init__(self, *, uses_compiled: bool = True) -> None:
        """`uses_compiled`: use the program that is written in C where it is there."""
        self._compiled = uses_compiled
        self._probed: tuple[Probe, bool] | None = None
        self._trial: probe.Trial | None = None
        self._process: Process | None = None  # for the next launcher

    def prepare(self) -> None:
        """Begin what takes time before an action can run, to probe and to open a launcher: it gets ready while the
        caller finds out what to run. Where that cannot be, it is said when it is needed."""
        with contextlib.suppress(OSError):
            if self._probed is None and self._trial is None:
                self._trial = probe.Trial(self.name)
            self._process = self._process or start()

    def get_ready(self) -> None:
        """See `bldr.api.Sandbox`. Of the launcher's process nothing is decided before it is opened."""
        with contextlib.suppress(OSError):
            get_ready()

    @property
    def is_prepared(self) -> bool:
        """Whether a probe would not have to wait."""
        return self._probed is not None or (self._trial is not None and self._trial.is_over)

    def dismiss(self) -> None:
        """What was prepared is not needed any more."""
        if self._trial is not None:
            self._trial.close()
            self._trial = None
        if self._process is not None:
            self._process.end()
            self._process = None

    def probe(self) -> Probe:
        """Set one sandbox up and take it down; the answer is kept."""
        return self._try()[0]

    def found(self) -> bytes:
        """What `probe` learned besides its answer: for `believe`, in a later process on the same machine."""
        return _COUNTS if self._try()[1] else b""

    def believe(self, answer: Probe, found: bytes) -> None:
        """Take an earlier probe's word instead of trying again. Where it is wrong by now, launches fail."""
        self._probed = answer, found == _COUNTS

    def open(self, root: str, *, map_caller: bool = False, outlives: bool = False, waits: bool = True) -> Launcher:
        """Start a launcher; see `bldr.api.Sandbox`. Unless this `waits` for it, the first launch does, and raises
        what is the matter with it."""
        owner = probe.owner(map_caller=map_caller)
        # Groups go with their owner, so what is to outlive it has none.
        tree = open_tree(owner) if not outlives else no_tree()
        host = probe.host(root, owner, map_caller=map_caller, limits_processes=self._try()[1], groups=tree.levels)
        cells = min(os.cpu_count() or 1, _CELLS_AT_MOST)
        program_fd = compiled.open_program() if self._compiled else -1
        process, self._process = self._process, None
        try:
            return LinuxLauncher(
                host,
                owner,
                tree,
                outlives=outlives,
                cells=cells,
                program_fd=program_fd,
                waits=waits,
                process=process,
            )
        finally:
            if program_fd >= 0:
                os.close(program_fd)

    def _try(self) -> tuple[Probe, bool]:
        if self._probed is None:
            trial, self._trial = self._trial or probe.Trial(self.name), None
            answer, counts = trial.answer()
            program_fd = compiled.open_program() if self._compiled else -1
            note = _COMPILED if program_fd >= 0 else _NOT_COMPILED
            if program_fd >= 0:
                os.close(program_fd)
            self._probed = msgspec.structs.replace(answer, notes=(note,)), counts
        return self._probed
