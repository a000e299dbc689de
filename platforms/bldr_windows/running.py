"""One command that runs: its job, its deadline, and why it was ended."""

import contextlib
import time

from bldr.api import Exit, Isolation, Launch, Usage, Verdict
from bldr_unmounted.bounds import processes_at_most
from bldr_windows import win32
from bldr_windows.job import counted
from bldr_windows.win32 import Accounting, Message, Process, Win32

_END_S = 10.0
"""So long the end of what was killed is waited for at most when all is closed."""


class Run:
    """A job with the command in it. Used by one thread."""

    def __init__(self, system: Win32, job: int, launch: Launch, scratch: dict[str, str]) -> None:
        self.scratch = scratch
        self.isolation: Isolation = {}
        self._system = system
        self._job = job
        self._launch = launch
        self._process: Process | None = None
        self._began_s = time.monotonic()
        self._exit_code: int | None = None
        self._verdict: Verdict | None = None
        self._is_killed = False
        self._most_processes = 1

    @property
    def pid(self) -> int:
        return -1 if self._process is None else self._process.pid

    def begin(self, process: Process) -> None:
        """Let it run, once it is certain that it runs inside. Raises OSError."""
        self._process = process
        if not self._system.is_in_job(process.handle, self._job):
            self._system.assign(process.handle, self._job)
        self._began_s = time.monotonic()
        self._system.resume(process.thread)

    def discard(self) -> None:
        """Nothing of it remains: a process that was not resumed goes too."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._system.terminate(self._process.handle, 1)
        self._close()

    def hear(self, message: Message) -> None:
        """What the job tells: a limit that was reached, or one process more."""
        limits = self._launch.spec.resources
        if message.kind in (win32.MSG_JOB_MEMORY_LIMIT, win32.MSG_PROCESS_MEMORY_LIMIT):
            used = max(self._extended_peak(), limits.memory_bytes or 0)
            self._judge(Verdict("memory", limits.memory_bytes or 0, used, "bytes"))
        elif message.kind == win32.MSG_ACTIVE_PROCESS_LIMIT:
            self._judge_processes()
        elif message.kind == win32.MSG_NEW_PROCESS:
            self._count(self._accounting())

    def look(self) -> bool:
        """End what has to end; whether nothing of it is alive any more."""
        used = self._accounting()
        self._count(used)
        limits = self._launch.spec.resources
        passed_s = time.monotonic() - self._began_s
        # Who looks may be late: what has ended until then did so in time, for all that anybody knows.
        is_late = limits.wall_time_s is not None and passed_s >= limits.wall_time_s and not self._has_ended(0)
        if limits.wall_time_s is not None and is_late:
            self._judge(Verdict("wall-time", limits.wall_time_s, passed_s, "s"))
        if limits.cpu_time_s is not None and used.cpu_s >= limits.cpu_time_s:
            self._judge(Verdict("cpu", limits.cpu_time_s, used.cpu_s, "s"))
        if self._exit_code is None and self._has_ended(0):
            self._exit_code = self._code()
            self._terminate(1)  # what it left behind
        return self._exit_code is not None and not self._accounting().active

    def kill(self, exit_code: int) -> None:
        """End all of it at once."""
        self._is_killed = self._is_killed or not self._has_ended(0)
        self._terminate(exit_code)

    def wait_for_end(self) -> None:
        """Return when it is dead."""
        until_s = time.monotonic() + _END_S
        while not self.look() and time.monotonic() < until_s:
            time.sleep(0.005)

    def usage(self) -> Usage:
        """What it has used until now; None for what this system does not count."""
        used = self._accounting()
        return Usage(
            wall_s=time.monotonic() - self._began_s,
            cpu_s=used.cpu_s or None,
            memory_peak_bytes=self._extended_peak() or None,
            read_bytes=used.read_bytes,
            written_bytes=used.written_bytes,
            processes=self._most_processes,
        )

    def exit(self, killed: int) -> Exit:
        """How it ended; its handles are closed."""
        usage = self.usage()
        was_killed = self._is_killed or self._verdict is not None
        code = killed if was_killed else self._exit_code
        self._close()
        return Exit(
            launch_id=self._launch.launch_id,
            exit_code=1 if code is None else code,
            signal=killed - 128 if was_killed else 0,
            usage=usage,
            isolation=self.isolation,
            verdict=self._verdict,
        )

    def _judge(self, verdict: Verdict) -> None:
        """The first one counts, and nothing that is over is judged."""
        if self._verdict is None and self._exit_code is None and not self._is_killed:
            self._verdict = verdict
            self._terminate(1)

    def _judge_processes(self) -> None:
        most = processes_at_most(self._launch.spec)
        if most is not None:
            self._judge(Verdict("processes", most, max(most, self._most_processes), "processes"))

    def _count(self, used: Accounting) -> None:
        """Also where the kernel leaves this limit to us."""
        if used.active > self._most_processes:
            programs = self._system.programs(self._job)
            self._most_processes = max(self._most_processes, counted(programs, self._system.windows_directory()))
            most = processes_at_most(self._launch.spec)
            if most is not None and self._most_processes > most:
                self._judge_processes()

    def _code(self) -> int:
        return self._system.exit_code(self._process.handle) if self._process is not None else 1

    def _has_ended(self, timeout_s: float) -> bool:
        return self._process is None or self._system.has_ended(self._process.handle, timeout_s)

    def _terminate(self, exit_code: int) -> None:
        with contextlib.suppress(OSError):  # nobody is left
            self._system.terminate_job(self._job, exit_code)

    def _accounting(self) -> Accounting:
        return self._system.accounting(self._job)

    def _extended_peak(self) -> int:
        return self._system.extended(self._job).peak_job_memory_bytes

    def _close(self) -> None:
        for handle in (self._job, *((self._process.handle, self._process.thread) if self._process else ())):
            with contextlib.suppress(OSError):
                self._system.close(handle)
        self._process = None
