"""Runs commands under one spec, from any thread of any process, and captures what they print."""

import os
import select
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import msgspec

from bldr.api import Exit, IsolationError, Level, Sandbox, SandboxSpec, Verdict
from bldr.hermetic.capture import DEFAULT_BOUND_BYTES, Capture
from bldr.hermetic.monitor import ResourceMonitor
from bldr.hermetic.outputs import make_outputs, remove_empty
from bldr.hermetic.policy import Mode, is_hermetic
from bldr.hermetic.process import Host, Process, Service, start
from bldr.hermetic.result import ExecutionResult
from bldr.hermetic.status import OnStatus

_SAMPLE_INTERVAL_S = 0.05


class HermeticExecutor:
    """Owns the launch services that run commands under one spec: one for each command that runs at the same time.

    Services stay for the next command until `close`, or the end of the `with` block, or of the process.
    """

    def __init__(self, spec: SandboxSpec, host: Host) -> None:
        host.demand(_without_log(spec))  # refuses what cannot be reached, before anything runs
        self._spec = spec
        self._host = host
        self._lock = threading.Lock()
        self._idle: list[Service] = []
        self._owner_pid = os.getpid()

    @classmethod
    def create(
        cls, spec: SandboxSpec, *, isolation: Mode = "require", sandboxes: Sequence[Sandbox] | None = None
    ) -> "HermeticExecutor":
        """An executor on the best platform of this machine.

        With `require` it fails closed: IsolationError says what is missing, why, and what to do. With `best` it does
        what it can and every result tells what was reached. Raises SpecError for a spec that contradicts itself.
        """
        return cls(spec, Host(isolation, sandboxes))

    @staticmethod
    def platform(sandboxes: Sequence[Sandbox] | None = None) -> str:
        """The name of the best platform of this machine; "" where none works."""
        try:
            return Host("best", sandboxes).sandbox.name
        except IsolationError:
            return ""

    @staticmethod
    def is_supported(isolation: Mode = "require", sandboxes: Sequence[Sandbox] | None = None) -> bool:
        """Whether this machine gives the isolation: by default everything that makes a run hermetic."""
        try:
            Host(isolation, sandboxes).demand(SandboxSpec())
        except IsolationError:
            return False
        return True

    @property
    def spec(self) -> SandboxSpec:
        return self._spec

    def execute(
        self,
        argv: Sequence[str],
        cwd: str = "/",
        monitor: ResourceMonitor | None = None,
        *,
        stdin: bytes | int = b"",
        on_status: OnStatus | None = None,
    ) -> ExecutionResult:
        """Run a command to its end; `cwd` is a path in the sandbox, `stdin` a text or a descriptor.

        Where a monitor is given it is started, fed and stopped, and the command ends when it finds a violation.
        Raises LaunchError where the command could not be started and IsolationError where less isolation was reached
        than is required.
        """
        return self._execute(self._spec, argv, cwd, monitor, stdin, on_status)

    def execute_with_timeout(
        self, argv: Sequence[str], seconds: float, cwd: str = "/", *, stdin: bytes | int = b""
    ) -> ExecutionResult:
        """Run a command for so long at most; then the result's verdict names the limit "wall-time"."""
        limits = self._spec.resources
        wall_time_s = min(seconds, limits.wall_time_s or seconds)
        spec = msgspec.structs.replace(self._spec, resources=msgspec.structs.replace(limits, wall_time_s=wall_time_s))
        return self._execute(spec, argv, cwd, None, stdin, None)

    def close(self) -> None:
        """End the services. The executor may be used again; it then starts new ones."""
        with self._lock:
            idle, self._idle = self._idle, []
        for service in idle:
            service.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _execute(
        self,
        spec: SandboxSpec,
        argv: Sequence[str],
        cwd: str,
        monitor: ResourceMonitor | None,
        stdin: bytes | int,
        on_status: OnStatus | None,
    ) -> ExecutionResult:
        made = make_outputs(spec)
        success = False
        try:
            bound = spec.resources.log_bytes or DEFAULT_BOUND_BYTES
            with self._service() as service, Capture(bound) as capture, _reading(stdin) as descriptor:
                stdout, stderr = capture.writing
                stdio = (descriptor, stdout, stderr)
                with start(service, self._host, _without_log(spec), argv, cwd, stdio, on_status) as process:
                    capture.close_writing()
                    if monitor is not None:
                        monitor.start(process)
                    verdict = _follow(process, capture, monitor)
                    ended = process.wait()
                capture.drain()
                result = _result(spec, ended, verdict, capture)
            success = result.success
            return result
        finally:
            if monitor is not None and monitor.is_running:
                monitor.stop()
            if not success:
                remove_empty(made)

    @contextmanager
    def _service(self) -> Iterator[Service]:
        """A service that is ours alone; it is kept only after a run that went as it should."""
        with self._lock:
            service = self._idle.pop() if self._idle else None
            if self._owner_pid != os.getpid():  # we were forked: the services are our parent's
                self._owner_pid, self._idle, service = os.getpid(), [], None
        if service is not None and not service.is_alive:
            service.close()
            service = None
        if service is None:
            service = Service(self._host.sandbox, self._spec.process)
        try:
            yield service
        except BaseException:
            service.close()
            raise
        with self._lock:
            self._idle.append(service)


def _follow(process: Process, capture: Capture, monitor: ResourceMonitor | None) -> Verdict | None:
    """Read what the command prints and watch it until it ended; the verdict where we ended it."""
    poll = select.poll()
    poll.register(process.fileno(), select.POLLIN)
    capture.register(poll)
    verdict = None
    interval_s = None if monitor is None else _SAMPLE_INTERVAL_S
    next_sample_s = time.monotonic()
    while True:
        for descriptor, _ in poll.poll(None if interval_s is None else interval_s * 1000):
            capture.read(poll, descriptor)
        if process.poll() is not None:
            return verdict
        if verdict is None and capture.is_full:
            verdict = capture.verdict()
            process.kill()
        if verdict is None and monitor is not None and time.monotonic() >= next_sample_s:
            next_sample_s = time.monotonic() + _SAMPLE_INTERVAL_S
            monitor.snapshot()
            if monitor.is_violated():
                verdict = monitor.violations()[0]
                process.kill()


def _result(spec: SandboxSpec, ended: Exit, verdict: Verdict | None, capture: Capture) -> ExecutionResult:
    stdout, stderr = capture.texts()
    if capture.is_full and verdict is None:
        verdict = capture.verdict()
    isolation = {**ended.isolation, "log": Level.SUPERVISED}  # by the capture
    return ExecutionResult(
        exit_code=ended.exit_code,
        hermetic=is_hermetic(isolation, spec.network, spec.resources.required),
        isolation=isolation,
        usage=ended.usage,
        limits=spec.resources.by_name(),
        verdict=ended.verdict or verdict,
        stdout_bytes=stdout,
        stderr_bytes=stderr,
    )


def _without_log(spec: SandboxSpec) -> SandboxSpec:
    """What the platform sees to: what is printed goes through our pipes, and is bounded here."""
    limits = spec.resources
    own = msgspec.structs.replace(limits, log_bytes=None, required=limits.required - {"log"})
    return msgspec.structs.replace(spec, resources=own)


@contextmanager
def _reading(stdin: bytes | int) -> Iterator[int]:
    """A descriptor to read from; a text goes through a nameless file, which needs nobody to feed it."""
    if isinstance(stdin, int):
        yield stdin
        return
    if not stdin:
        with open(os.devnull, "rb") as null:
            yield null.fileno()
        return
    import tempfile  # only where there is something to read

    with tempfile.TemporaryFile() as file:
        file.write(stdin)
        file.seek(0)
        yield file.fileno()
