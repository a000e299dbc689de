"""Starts commands in jobs of their own and says how each ended: the launcher of the Windows platform."""

import contextlib
import os
from collections.abc import Sequence

from bldr.api import Exit, Isolation, Launch, SetupFailure, Started, Usage
from bldr_unmounted.failures import complain, hint, reason
from bldr_windows.command_line import command_line, find_program, is_batch
from bldr_windows.environment import block, merged, needed
from bldr_windows.job import apply, isolation, settings
from bldr_windows.names import long_path
from bldr_windows.places import Command
from bldr_windows.port import Port
from bldr_windows.running import Run
from bldr_windows.tree import ClosedDirectoryError, UnfitTreeError, admit, copy_tree, remove_tree
from bldr_windows.win32 import LOW_INTEGRITY, Start, Win32

KILLED = 137
"""The exit code of what was ended from outside, as of signal 9 in a shell."""


class WindowsLauncher:
    """Owns the jobs, their scratch directories and the answers that nobody has fetched yet; see `Launcher`.

    `root` takes the scratch directories of launches that have no tree. `reachable` is what the probe found.
    """

    def __init__(self, root: str, system: Win32, reachable: Isolation) -> None:
        self._root = root
        self._system = system
        self._reachable = reachable
        self._processors = os.cpu_count() or 1
        self._token = system.restricted_token()
        self._is_low = system.token_facts(self._token).integrity <= LOW_INTEGRITY
        self._port = Port(system)
        self._runs: dict[int, Run] = {}  # by launch
        self._exits: list[Exit] = []
        self._started: list[Started] = []
        self._is_closed = False

    @property
    def owner(self) -> tuple[int, int] | None:
        return None

    def fileno(self) -> int:
        return self._port.fileno()

    def start(self, launch: Launch) -> None:
        scratch: dict[str, str] = {}
        failure = None
        try:
            self._prepare(launch, scratch)
            self._begin(launch, scratch)
        except (OSError, ValueError) as error:  # ValueError: what no command line or environment can hold
            failure = SetupFailure(f"cannot prepare the run: {reason(error)}", hint(error))
        except UnfitTreeError as error:
            failure = SetupFailure(str(error), "call it otherwise, or build this target elsewhere")
        except ClosedDirectoryError as error:
            failure = SetupFailure(str(error), "keep the cache on a disk of this machine, in a directory of your own")
        if failure is not None:
            _remove(scratch)
            self._finish(Exit(launch_id=launch.launch_id, exit_code=1, failure=failure))

    def kill(self, launch_id: int) -> None:
        run = self._runs.get(launch_id)
        if run is not None:
            run.kill(KILLED)

    def signal(self, launch_id: int, number: int) -> None:  # noqa: ARG002  # whichever: nothing here is polite
        """End it: what has no window and no console of ours cannot be asked."""
        self.kill(launch_id)

    def measure(self, launch_id: int) -> Usage | None:
        run = self._runs.get(launch_id)
        return None if run is None else run.usage()

    def started(self) -> Sequence[Started]:
        started, self._started = self._started, []
        return started

    def reap(self) -> Sequence[Exit]:
        for message in self._port.messages():
            run = self._runs.get(message.key)
            if run is not None:
                run.hear(message)
        for launch_id, run in tuple(self._runs.items()):
            if run.look():
                self._exits.append(self._end(launch_id))
        self._port.set_busy(bool(self._runs))
        exits, self._exits = self._exits, []
        return exits

    def close(self) -> None:
        for run in self._runs.values():
            run.kill(KILLED)
        for launch_id, run in tuple(self._runs.items()):
            run.wait_for_end()
            self._end(launch_id)
        if not self._is_closed:
            self._is_closed = True
            self._port.close()
            self._system.close(self._token)

    def _prepare(self, launch: Launch, scratch: dict[str, str]) -> None:
        """The tree and the temporary directories, which programs of low integrity may write to."""
        above = launch.tree.work if launch.tree else self._root
        for number, temp in enumerate(launch.spec.temps):
            # Not by tempfile, whose directories let in their owner alone: for an elevated user that is a group that
            # the action's token is not in.
            place = os.path.join(above, f"tmp-{os.getpid()}-{launch.launch_id}-{number}")
            os.mkdir(place)
            scratch[temp.path] = place
        for path in (*scratch.values(), *([launch.tree.upper] if launch.tree else [])):
            admit(self._system, path, is_low=self._is_low)
        if launch.tree is not None:
            copy_tree(launch.tree.lower, launch.tree.upper)

    def _begin(self, launch: Launch, scratch: dict[str, str]) -> None:
        command = Command(launch, scratch)
        more = needed(self._system.windows_directory(), self._processors, next(iter(scratch.values()), ""))
        env = merged(command.env, more)
        words = block(env)
        os.stat(command.cwd)  # a directory that is missing is a failure to prepare, a missing program is the command's
        job = self._system.create_job()
        run = Run(self._system, job, launch, scratch)
        try:
            wanted = settings(launch.spec, self._processors)
            run.isolation = isolation(self._reachable, wanted, apply(self._system, job, wanted))
            self._port.follow(job, launch.launch_id)
            try:
                program = _program(command, env)
                start = Start(
                    program=program,
                    command_line=command_line((program, *command.argv[1:])),
                    cwd=command.cwd,
                    environment=words,
                    stdio=tuple(map(self._system.os_handle, (launch.stdin, launch.stdout, launch.stderr))),  # type: ignore[arg-type]
                    token=self._token,
                    job=job,
                )
                run.begin(self._system.start(start))
            except (OSError, ValueError) as error:
                run.discard()
                _remove(scratch)
                code = complain(launch, error)
                self._finish(Exit(launch_id=launch.launch_id, exit_code=code, isolation=run.isolation))
                return
        except BaseException:
            run.discard()
            raise
        self._runs[launch.launch_id] = run
        self._port.set_busy(True)
        if launch.announce:
            self._started.append(Started(launch.launch_id, run.pid))
            self._port.wake()

    def _finish(self, answer: Exit) -> None:
        self._exits.append(answer)
        self._port.wake()

    def _end(self, launch_id: int) -> Exit:
        run = self._runs.pop(launch_id)
        answer = run.exit(KILLED)
        _remove(run.scratch)
        return answer


def _program(command: Command, env: dict[str, str]) -> str:
    """Raises FileNotFoundError, and PermissionError for what Windows would give to a shell."""
    names = {name.upper(): text for name, text in env.items()}
    path = find_program(command.argv[0], command.cwd, names, lambda path: os.path.isfile(long_path(path)))
    if is_batch(path):
        raise PermissionError(
            13, "a batch file, whose words cannot be quoted for certain: start cmd.exe yourself", path
        )
    return path


def _remove(scratch: dict[str, str]) -> None:
    for directory in scratch.values():
        with contextlib.suppress(OSError):  # what somebody else has open
            remove_tree(directory)
