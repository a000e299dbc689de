"""Starts single commands in a sandbox from any process, also one with threads: launch, spawn, wait, launch_shell."""

import contextlib
import os
import select
import socket
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec

from bldr.api import (
    BldrError,
    Exit,
    ExitCode,
    IsolationError,
    Probe,
    ProcessPolicy,
    Sandbox,
    SandboxSpec,
    SetupFailure,
    Shortfall,
    Usage,
)
from bldr.hermetic.check import check_spec
from bldr.hermetic.policy import Demand, Mode, check_reached, decide, missing, select_sandbox
from bldr.hermetic.status import Exited, OnStatus, RuntimeInitWarnings, Spawned, Status, json_lines
from bldr.hermetic.wire import Channel, Kill, Measure, Measured, Open, Refused, Signal, Start

if TYPE_CHECKING:
    import subprocess

SHELL = ("/bin/sh", "-euc")
_LOOK = "look at the kernel's log (`dmesg`)"


class LaunchError(BldrError):
    """The sandbox could not be set up, so the command never started; the hint says what may help."""

    exit_code = ExitCode.BUILD_FAILED


class Host:
    """The platform of this machine that fits a mode, with what it demands of a launch."""

    def __init__(self, isolation: Mode = "require", sandboxes: Sequence[Sandbox] | None = None) -> None:
        if sandboxes is None:
            from bldr.plugins import load_plugins  # reads every installed distribution: only for those who need it

            sandboxes = load_plugins().sandboxes
        self.mode = isolation
        self.sandbox, self.probe = select_sandbox(sandboxes, isolation)

    def demand(self, spec: SandboxSpec) -> Demand:
        """Raises SpecError for a spec that contradicts itself and IsolationError for one that cannot be reached."""
        check_spec(spec)
        return decide(self.probe, self.mode, spec.resources.required, spec.network)

    def stop_on_warnings(self, spec: SandboxSpec) -> None:
        """Raises IsolationError where there is anything to warn of."""
        shortfalls = self.warnings(spec)
        if shortfalls:
            lines = [f"  {shortfall.guarantee}: {shortfall.why}" for shortfall in shortfalls]
            remedies = dict.fromkeys(shortfall.remedy for shortfall in shortfalls)
            raise IsolationError("\n".join(["this machine lacks what the spec sets", *lines]), "; ".join(remedies))

    def warnings(self, spec: SandboxSpec) -> tuple[Shortfall, ...]:
        """What a spec sets and this machine does not enforce, the limits that nobody insists on included."""
        lacking = set(missing(spec.resources.by_name(), self.probe.isolation))
        demanded = self.demand(spec).shortfalls
        known = {shortfall.guarantee for shortfall in demanded}
        return demanded + tuple(
            shortfall
            for shortfall in self.probe.shortfalls
            if shortfall.guarantee in lacking and shortfall.guarantee not in known
        )


class Service:
    """Owns one launch service process; runs one command at a time."""

    def __init__(self, sandbox: Sandbox, process: ProcessPolicy) -> None:
        import tempfile  # only where something is launched

        kind = type(sandbox)
        # The service removes it even when we die; we do even when the service dies.
        try:
            self._directory = tempfile.mkdtemp(prefix="bldr-service-")
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            hint = "set `TMPDIR` to a directory that can be written to"
            raise IsolationError(f"the launch service can have no directory: {reason}", hint) from error
        require_passing()
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours)
        try:
            with theirs:
                self._process = _start_service(theirs.fileno())
        except OSError as error:
            self._channel.close()
            os.rmdir(self._directory)
            reason = (error.strerror or str(error)).lower()
            hint = "raise the caller's limits (`ulimit -u`, `ulimit -n`), or run less at once"
            raise IsolationError(f"the launch service cannot be started: {reason}", hint) from error
        try:
            reference = f"{kind.__module__}:{kind.__qualname__}"
            self._channel.send(
                Open(reference, self._directory, process.map_caller, outlives=not process.kill_on_parent_exit)
            )
            answer = self._channel.receive_answer()
        except (EOFError, BrokenPipeError):
            self.close()
            raise IsolationError(
                f'the launch service of the sandbox "{sandbox.name}" ended before it began', "see its message above"
            ) from None
        if isinstance(answer, Refused):
            self.close()
            raise IsolationError(answer.message, answer.hint)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def channel(self) -> Channel:
        return self._channel

    def close(self) -> None:
        """Ends what runs; returns when nothing is left of it."""
        self._channel.close()
        self._process.wait()
        if os.path.isdir(self._directory):
            import shutil

            shutil.rmtree(self._directory, ignore_errors=True)


class Process:
    """A command that runs in a sandbox. Used by one thread; its statuses arrive in `poll` and `wait`.

    As a context manager it kills what still runs at the end of the block.
    """

    def __init__(
        self, service: Service, demand: Demand, tell: OnStatus, warnings: tuple[Shortfall, ...], *, owns_service: bool
    ) -> None:
        self._service = service
        self._demand = demand
        self._tell = tell
        self._owns_service = owns_service
        self._exit: Exit | None = None
        self._waited = False
        self._usage: Usage | None = None
        self._spawned: Spawned | None = None
        self._tell(RuntimeInitWarnings(warnings))

    @property
    def supervisor_pid(self) -> int:
        """A process of this machine of which all that run in the sandbox descend."""
        return self._service.pid

    @property
    def pid(self) -> int:
        """The command's process on this machine; waits until it was started, -1 where it never is."""
        self._wait_for_spawn()
        return self._spawned.pid if self._spawned else -1

    @property
    def pidfd(self) -> int:
        """A descriptor that refers to the command, until `close`; waits as `pid` does."""
        self._wait_for_spawn()
        return self._spawned.pidfd if self._spawned else -1

    def fileno(self) -> int:
        """Readable when `poll` has something to say."""
        return self._service.channel.fileno()

    def poll(self) -> Exit | None:
        """How it ended, or None while it runs; never blocks."""
        return self._advance(0.0)

    def wait(self, timeout_s: float | None = None) -> Exit:
        """How it ended, told once: a second call raises RuntimeError (`poll` tells again).

        Raises TimeoutError (it runs on) and LaunchError (it was never started).
        """
        if self._waited:
            raise RuntimeError("this process was waited for before")
        ended = self._advance(timeout_s)
        if ended is None:
            raise TimeoutError(f"still running after {timeout_s} s")
        self._waited = True
        if ended.failure is not None:
            raise LaunchError(ended.failure.message, ended.failure.hint)
        check_reached(self._demand, ended.isolation)
        return ended

    def kill(self) -> None:
        """End it and all its processes at once; `wait` still tells how it ended."""
        if self._exit is None:
            with contextlib.suppress(BrokenPipeError):
                self._service.channel.send(Kill())

    def send_signal(self, number: int) -> None:
        """Send a signal to the command and to those of its group."""
        if self._exit is None:
            with contextlib.suppress(BrokenPipeError):
                self._service.channel.send(Signal(int(number)))

    def measure(self) -> Usage | None:
        """What it has used until now, all its processes together; None where the platform cannot tell."""
        self._usage = None
        if self._exit is None:
            with contextlib.suppress(BrokenPipeError):
                self._service.channel.send(Measure())
            while self._exit is None and not isinstance(self._receive(), Measured):
                pass
        return self._usage

    def close(self) -> None:
        """Kill what still runs and wait until nothing is left."""
        self.kill()
        self._advance(None)
        if self._spawned is not None and self._spawned.pidfd >= 0:
            os.close(self._spawned.pidfd)
            self._spawned = msgspec.structs.replace(self._spawned, pidfd=-1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _advance(self, timeout_s: float | None) -> Exit | None:
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while self._exit is None:
            left_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
            if not _is_readable(self.fileno(), left_s):
                return None
            self._receive()
        return self._exit

    def _wait_for_spawn(self) -> None:
        while self._spawned is None and self._exit is None:
            self._receive()

    def _receive(self) -> Status | Measured:
        """Take the next message, whatever it is."""
        descriptors: list[int] = []
        try:
            status, descriptors = self._service.channel.receive_status()
        except EOFError:
            status = Exited(_lost())
        if isinstance(status, Measured):
            self._usage = status.usage
            return status
        if isinstance(status, Spawned):
            status = msgspec.structs.replace(status, pidfd=descriptors[0] if descriptors else -1)
            self._spawned = status
        if isinstance(status, Exited):
            self._exit = status.exit
            if self._owns_service:
                self._service.close()
        self._tell(status)
        return status


def spawn(
    spec: SandboxSpec,
    argv: Sequence[str],
    cwd: str = "/",
    *,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    host: Host | None = None,
    on_status: OnStatus | int | None = None,
    stop_on_warnings: bool = False,
) -> Process:
    """Start a command; the descriptors stay the caller's, and without them it reads nothing and writes to ours.

    `on_status` is called with each status, or is a descriptor that gets them as lines of JSON. With `stop_on_warnings`
    nothing is started where this machine lacks anything that the spec sets. Raises SpecError, and IsolationError where
    `host` (by default one that requires all isolation) cannot give it.
    """
    host = host or Host()
    if stop_on_warnings:
        host.stop_on_warnings(spec)
    service = Service(host.sandbox, spec.process)
    try:
        return start(service, host, spec, argv, cwd, (stdin, stdout, stderr), on_status, owns_service=True)
    except BaseException:
        service.close()
        raise


def start(
    service: Service,
    host: Host,
    spec: SandboxSpec,
    argv: Sequence[str],
    cwd: str,
    stdio: tuple[int | None, int | None, int | None],
    on_status: OnStatus | int | None = None,
    *,
    owns_service: bool = False,
) -> Process:
    """Start a command in a service that is idle. Raises TypeError where `argv` is not a sequence of words."""
    if isinstance(argv, (str, bytes)) or not argv:
        raise TypeError("argv is a sequence of words, the program first; for a script use launch_shell")
    tell = json_lines(on_status) if isinstance(on_status, int) else on_status or (lambda _: None)
    process = Process(service, host.demand(spec), tell, host.warnings(spec), owns_service=owns_service)
    stdin, stdout, stderr = stdio
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        descriptors = (
            null if stdin is None else stdin,
            1 if stdout is None else stdout,
            2 if stderr is None else stderr,
        )
        service.channel.send(Start(spec, tuple(argv), cwd), descriptors)
    except BrokenPipeError:
        raise LaunchError("the launch service died before the command started", _LOOK) from None
    except UnicodeEncodeError as error:
        raise LaunchError(f"not UTF-8: {error.object!r}", "arguments, variables and paths are text") from None
    finally:
        os.close(null)
    return process


def wait(process: Process, timeout_s: float | None = None) -> Exit:
    """How the process ended; see `Process.wait`."""
    return process.wait(timeout_s)


def launch(
    spec: SandboxSpec,
    argv: Sequence[str],
    cwd: str = "/",
    *,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    host: Host | None = None,
    on_status: OnStatus | int | None = None,
    stop_on_warnings: bool = False,
) -> Exit:
    """Run a command to its end; see `spawn`."""
    with spawn(
        spec, argv, cwd, stdin=stdin, stdout=stdout, stderr=stderr, host=host, on_status=on_status,
        stop_on_warnings=stop_on_warnings,
    ) as process:  # fmt: skip
        return process.wait()


def launch_shell(
    spec: SandboxSpec, script: str, cwd: str = "/", *, host: Host | None = None, on_status: OnStatus | int | None = None
) -> Exit:
    """Run a script by the sandbox's `/bin/sh -euc`, on our own standard streams."""
    return launch(spec, (*SHELL, script), cwd, stdin=0, host=host, on_status=on_status)


def check_host(sandboxes: Sequence[Sandbox] | None = None) -> Probe:
    """What the best platform of this machine can give, and for each guarantee that it cannot, why and what to do.

    Raises IsolationError where no platform works at all.
    """
    return Host("best", sandboxes).probe


def require_passing() -> None:
    """Raises IsolationError on a system whose sockets carry no descriptors, as the service needs them to."""
    if not hasattr(socket, "send_fds"):
        raise IsolationError(
            "single commands cannot be run in a sandbox on this system, whose sockets carry no descriptors",
            "make a target of it, and build that",
        )


def _start_service(descriptor: int) -> "subprocess.Popen[bytes]":
    """In a session of its own: the terminal's signals are for the embedding process, which ends it by the socket."""
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in sys.path)
    import subprocess  # costs more than all the rest of this package

    return subprocess.Popen(
        [sys.executable, "-P", "-m", "bldr.hermetic.service", str(descriptor)],
        env=environment,
        pass_fds=(descriptor,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def _is_readable(descriptor: int, timeout_s: float | None) -> bool:
    poll = select.poll()  # select(2) fails in processes with more than a thousand descriptors
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))


def _lost() -> Exit:
    return Exit(
        launch_id=0,
        exit_code=1,
        failure=SetupFailure("the launch service died while the command ran", _LOOK),
    )
