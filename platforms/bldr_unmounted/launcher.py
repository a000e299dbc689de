"""Starts commands as children of this process, confined as a platform says, and says how each ended."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import msgspec

from bldr.api import Exit, Launch, SetupFailure, Started, Usage
from bldr_unmounted import process
from bldr_unmounted.confinement import Confinement, RefusedError, Sampling, Scratch
from bldr_unmounted.failures import complain, hint, reason
from bldr_unmounted.places import Command, places
from bldr_unmounted.supervision import Supervision
from bldr_unmounted.tree import copy_tree, remove_tree
from bldr_unmounted.warden import Warden, is_needed
from bldr_unmounted.watch import Watch, open_pidfd, open_watch

_MAXRSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


class _Run(msgspec.Struct):
    """A command that runs."""

    launch: Launch
    child: "subprocess.Popen[bytes]"
    scratch: Scratch
    mark: tuple[str, str] | None
    started_s: float
    supervision: Supervision


class UnmountedLauncher:
    """Owns the children, their scratch directories and the answers that nobody has fetched yet; see `Launcher`.

    `root` takes the scratch directories of launches that have no tree.
    """

    def __init__(
        self,
        root: str,
        confinement: Confinement,
        sampling: Sampling | None = None,
        watch: Watch | None = None,
        warden: Warden | None = None,
    ) -> None:
        self._root = root
        self._confinement = confinement
        self._sampling = sampling
        self._watch = open_watch() if watch is None else watch
        self._warden = Warden() if warden is None and is_needed() else warden
        self._runs: dict[int, _Run] = {}  # by pid
        self._exits: list[Exit] = []
        self._started: list[Started] = []
        self._closed = False

    @property
    def owner(self) -> tuple[int, int] | None:
        return None

    def fileno(self) -> int:
        return self._watch.fileno()

    def start(self, launch: Launch) -> None:
        scratch: Scratch | None = None
        try:
            scratch = _make_scratch(launch, self._root)
            self._begin(launch, scratch)
        except (OSError, ValueError) as error:  # ValueError: a NUL in a text
            self._refuse(launch, scratch, SetupFailure(f"cannot prepare the run: {reason(error)}", hint(error)))
        except RefusedError as refused:
            self._refuse(launch, scratch, refused.failure)
        except subprocess.SubprocessError as error:  # a limit that the kernel does not take
            self._refuse(launch, scratch, SetupFailure(f"cannot prepare the run: {error}", "take its limits away"))

    def kill(self, launch_id: int) -> None:
        self.signal(launch_id, signal.SIGKILL)

    def signal(self, launch_id: int, number: int) -> None:
        for run in self._runs.values():
            if run.launch.launch_id == launch_id:
                process.signal_group(run.child.pid, number)

    def measure(self, launch_id: int) -> Usage | None:
        """What a sample says; None where this platform takes none."""
        if self._sampling is not None:
            for pid, run in self._runs.items():
                if run.launch.launch_id == launch_id:
                    return run.supervision.measured(self._sampling.usage(pid))
        return None

    def started(self) -> Sequence[Started]:
        started, self._started = self._started, []
        return started

    def reap(self) -> Sequence[Exit]:
        for pid in self._watch.ended():
            self._exits.append(self._end(pid))
        for pid, run in self._runs.items():
            number = run.supervision.look(pid)
            if number:
                process.signal_group(pid, number)
        self._set_deadline()
        exits, self._exits = self._exits, []
        return exits

    def close(self) -> None:
        for pid in tuple(self._runs):
            process.signal_group(pid, signal.SIGKILL)
            self._end(pid)
        if not self._closed:
            self._closed = True
            self._watch.close()
            if self._warden is not None:
                self._warden.close()
            self._confinement.close()

    def _begin(self, launch: Launch, scratch: Scratch) -> None:
        if launch.tree is not None:
            copy_tree(launch.tree.lower, launch.tree.upper)
        command = Command(launch, places(launch, scratch.temps))
        os.stat(command.cwd)  # a directory that is missing is a failure to prepare, a missing program is the command's
        began_s, started_s = time.monotonic(), time.time()
        try:
            program = process.find_executable(command)
            child = process.spawn(self._confinement.confine(launch, command, program, scratch), command, launch)
        except (OSError, ValueError) as error:
            _remove(launch, scratch)
            code, isolation = complain(launch, error), self._confinement.isolation(launch)
            self._finish(Exit(launch_id=launch.launch_id, exit_code=code, isolation=isolation))
            return
        if self._warden is not None and launch.spec.process.kill_on_parent_exit:
            self._warden.add(child.pid)
        mark = _mark(command, launch.tree.upper if launch.tree else "", *scratch.temps.values())
        supervision = Supervision(launch.spec, began_s, self._sampling)
        self._runs[child.pid] = _Run(launch, child, scratch, mark, started_s, supervision)
        self._watch.add(child.pid)
        self._set_deadline()
        if launch.announce:
            self._started.append(Started(launch.launch_id, child.pid, open_pidfd(child.pid)))
            self._watch.wake()

    def _refuse(self, launch: Launch, scratch: Scratch | None, failure: SetupFailure) -> None:
        if scratch is not None:
            _remove(launch, scratch)
        self._finish(Exit(launch_id=launch.launch_id, exit_code=1, failure=failure))

    def _finish(self, answer: Exit) -> None:
        self._exits.append(answer)
        self._watch.wake()

    def _set_deadline(self) -> None:
        due_s = (run.supervision.due_s for run in self._runs.values())
        self._watch.set_deadline(min((due for due in due_s if due is not None), default=None))

    def _end(self, pid: int) -> Exit:
        """Kill what the command left behind, then reap it."""
        run = self._runs.pop(pid)
        process.end_all(pid, run.mark, run.started_s)
        self._watch.remove(pid)
        if self._warden is not None:
            self._warden.remove(pid)
        _, status, used = os.wait4(pid, 0)
        run.child.returncode = os.waitstatus_to_exitcode(status)  # or Popen would wait for a stranger's number
        _remove(run.launch, run.scratch)
        usage = run.supervision.ended(used.ru_utime + used.ru_stime, _memory_peak_bytes(used.ru_maxrss))
        code = run.child.returncode
        return Exit(
            launch_id=run.launch.launch_id,
            exit_code=code if code >= 0 else 128 - code,
            signal=max(0, -code),
            usage=usage,
            isolation=self._confinement.isolation(run.launch),
            verdict=run.supervision.verdict_of(-code, usage),
        )


def _make_scratch(launch: Launch, root: str) -> Scratch:
    """Beside the launch's tree, or in a directory of its own. Raises OSError, and then there is none."""
    temps = launch.spec.temps
    if not temps:
        return Scratch("", {})
    directory = launch.tree.work if launch.tree else tempfile.mkdtemp(prefix="run-", dir=root)
    scratch = Scratch(directory, {temp.path: os.path.join(directory, f"tmp-{i}") for i, temp in enumerate(temps)})
    try:
        for path in scratch.temps.values():
            os.mkdir(path, 0o700)
    except OSError:
        _remove(launch, scratch)
        raise
    return scratch


def _remove(launch: Launch, scratch: Scratch) -> None:
    for directory in scratch.temps.values():
        with contextlib.suppress(OSError):  # what another user left there
            remove_tree(directory)
    if scratch.directory and launch.tree is None:
        with contextlib.suppress(OSError):
            os.rmdir(scratch.directory)


def _mark(command: Command, *own: str) -> tuple[str, str] | None:
    """A variable whose value names a directory of this launch alone: daemons that it left behind still carry it."""
    marks = (entry for entry in command.env.items() if any(path and path in entry[1] for path in own))
    return next(marks, None)


def _memory_peak_bytes(peak: int) -> int | None:
    """Of the largest process; None where it is only what this process had itself when it forked."""
    return peak * _MAXRSS_UNIT_BYTES if peak > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss else None
