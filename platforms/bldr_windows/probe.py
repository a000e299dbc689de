"""What this Windows gives: every setting is made on a job and a process of the probe's own, and read back."""

import contextlib
import ntpath
import os
import sys
import tempfile

import msgspec

from bldr.api import GUARANTEES, LIMITS, Isolation, Level, Probe, ProcessPolicy, ResourceLimits, SandboxSpec, Shortfall
from bldr_windows.environment import block, needed
from bldr_windows.job import apply, isolation, settings
from bldr_windows.tree import ClosedDirectoryError, admit, remove_tree
from bldr_windows.win32 import LOW_INTEGRITY, Process, Start, TokenFacts, Win32

_HARMLESS = {"SeChangeNotifyPrivilege"}  # everybody has it: without it each directory of a path is asked
_OTHERS = "use the sandbox of this system"
_ELSEWHERE = "use a Linux host with user namespaces"
_NO_MOUNTS = "Windows shows every program the same directories: nothing can be mounted for one action alone"
_WHYS = {
    "fs-read": (_NO_MOUNTS, _ELSEWHERE),
    "fs-write": ("programs of low integrity may write wherever others of low integrity may", _ELSEWHERE),
    "paths": (_NO_MOUNTS, _ELSEWHERE),
    "network": ("a job takes no network away", _ELSEWHERE),
    "pids": ("a job ends all of its processes, and hides none of the others from them", _ELSEWHERE),
    "ipc": ("named objects are shared by all programs of a session", _ELSEWHERE),
    "hostname": ("all programs see the name of the machine", _ELSEWHERE),
    "users": ("actions run as the user who builds, with fewer rights", _ELSEWHERE),
    "devices": ("devices are open to whoever their access lists let in", _ELSEWHERE),
    "syscalls": ("Windows filters no system calls", _ELSEWHERE),
    "privileges": ("the token of an action has more than low integrity or keeps privileges here", _ELSEWHERE),
}
_LIMIT_WHYS = {
    "memory": "the job did not take a limit of memory",
    "cpu": "the job did not take a limit of processor time",
    "processes": "the job did not take a limit of processes",
    "cpu-share": "the job did not take a share of the processors",
}
_LIMIT_REMEDY = "use Windows 10 or newer itself, or a Linux host"

_TRIAL_S = 10.0
_TRIED = SandboxSpec(
    resources=ResourceLimits(memory_bytes=1 << 30, cpu_time_s=600.0, processes=8, cpus=0.5),
    process=ProcessPolicy(),
)


class Found(msgspec.Struct, frozen=True):
    """What a trial showed: the limits that were taken, a process's token, whether a job's end ends its processes.

    And whether an action reads and writes a directory that was made for it.
    """

    limits: Isolation
    token: TokenFacts
    dies_with_job: bool
    uses_directories: bool


def probe(name: str, system: Win32 | None) -> Probe:
    """`system` is None where this is no Windows."""
    if system is None:
        return _unsupported(name, f"jobs are a part of Windows, and this is {sys.platform}", _OTHERS, foreign=True)
    try:
        found = try_out(system)
    except OSError as error:
        why = f"a restricted process cannot be started in a job: {(error.strerror or str(error)).lower()}"
        return _unsupported(name, why, "run bldr doctor as an ordinary user, outside of other sandboxes")
    if not found.uses_directories:
        why = "a restricted process can neither read nor write a directory that bldr made for it"
        return _unsupported(name, why, "run bldr doctor as an ordinary user, with TEMP in a directory of your own")
    given = guarantees(found)
    return Probe(name, True, given, _shortfalls(given), _notes(found))


def guarantees(found: Found) -> Isolation:
    """What a trial proves, and the limits."""
    given: Isolation = {"env": Level.SUPERVISED, "wall-time": Level.SUPERVISED, **found.limits}
    if is_low(found.token):
        given["privileges"] = Level.KERNEL
    return given


def is_low(token: TokenFacts) -> bool:
    """Whether a process with this token has no rights but those that everybody has."""
    return token.integrity <= LOW_INTEGRITY and set(token.privileges) <= _HARMLESS and not token.is_elevated


def try_out(system: Win32) -> Found:
    """Start a process, which never comes to run, as an action is started, and one that copies. Raises OSError."""
    job = system.create_job()
    token, process = 0, None
    try:
        wanted = settings(_TRIED, os.cpu_count() or 1)
        limits = isolation({}, wanted, apply(system, job, wanted))
        token = system.restricted_token()
        process = _start(system, token, job)
        if not system.is_in_job(process.handle, job):
            system.assign(process.handle, job)
        own = system.process_token(process.handle)
        try:
            facts = system.token_facts(own)
        finally:
            system.close(own)
        system.close(job)
        job = 0
        dies = system.has_ended(process.handle, 5)
        if not dies:
            system.terminate(process.handle, 1)
        return Found(limits, facts, dies, _uses_a_directory(system, token))
    finally:
        for handle in (job, token, *((process.handle, process.thread) if process else ())):
            if handle:
                system.close(handle)


def _uses_a_directory(system: Win32, token: int) -> bool:
    """Whether a process with this token reads and writes there, as actions do in their trees."""
    directory = tempfile.mkdtemp(prefix="bldr-probe-")
    job, process = system.create_job(), None
    try:
        apply(system, job, settings(SandboxSpec(), 1))
        try:
            admit(system, directory, is_low=system.token_facts(token).integrity <= LOW_INTEGRITY)
        except ClosedDirectoryError:
            return False
        with open(os.path.join(directory, "input"), "w") as file:
            file.write("read me")
        process = _start(system, token, job, "copy /y input output", directory)
        if not system.is_in_job(process.handle, job):
            system.assign(process.handle, job)
        system.resume(process.thread)
        system.has_ended(process.handle, _TRIAL_S)
        return os.path.exists(os.path.join(directory, "output"))
    finally:
        with contextlib.suppress(OSError):
            system.terminate_job(job, 1)
        if process is not None:
            system.has_ended(process.handle, _TRIAL_S)  # its directory is in use until then
        for handle in (job, *((process.handle, process.thread) if process else ())):
            system.close(handle)
        with contextlib.suppress(OSError):
            remove_tree(directory)


def _start(system: Win32, token: int, job: int, command: str = "exit", cwd: str = "") -> Process:
    windows = system.windows_directory()
    program = ntpath.join(windows, "System32", "cmd.exe")
    with tempfile.TemporaryFile() as file:
        handle = system.os_handle(file.fileno())
        return system.start(
            Start(
                program=program,
                command_line=f'"{program}" /d /c {command}',
                cwd=cwd or windows,
                environment=block(needed(windows, 1, "")),
                stdio=(handle, handle, handle),
                token=token,
                job=job,
            )
        )


def _notes(found: Found) -> tuple[str, ...]:
    notes = [f"tokens of actions have integrity {found.token.integrity:#x}"]
    if not found.dies_with_job:
        notes.append("processes outlive their job here: what runs when bldr is killed goes on")
    return tuple(notes)


def _shortfalls(given: Isolation) -> tuple[Shortfall, ...]:
    missing = [Shortfall(name, *_WHYS[name]) for name in GUARANTEES if not given.get(name)]
    limits = [
        Shortfall(name, _LIMIT_WHYS[name], _LIMIT_REMEDY)
        if name in _LIMIT_WHYS
        else Shortfall(name, "a job has no such limit", _ELSEWHERE)
        for name in LIMITS
        if not given.get(name)
    ]
    return (*missing, *limits)


def _unsupported(name: str, why: str, remedy: str, *, foreign: bool = False) -> Probe:
    shortfalls = tuple(Shortfall(guarantee, why, remedy) for guarantee in GUARANTEES)
    return Probe(name, False, {}, shortfalls, foreign=foreign)
