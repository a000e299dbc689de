"""Ends a process that takes too long: politely first, then for certain."""

import contextlib
import signal
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from bldr.api import Verdict

if TYPE_CHECKING:
    import psutil

GRACE_S = 2.0
_POLL_INTERVAL_S = 0.02


class Pollable(Protocol):
    """A process that another thread may ask whether it ended: `subprocess.Popen` is one."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> object | None:
        """None while it runs."""


def create_timeout_enforcer(process: Pollable, *, grace_s: float = GRACE_S) -> "TimeoutEnforcer":
    """An enforcer that is not started yet."""
    return TimeoutEnforcer(process, grace_s)


class TimeoutEnforcer:
    """Ends a process and its descendants when the time is over: SIGTERM, and after `grace_s` SIGKILL.

    For processes that were started elsewhere; commands in a sandbox are ended by their platform
    (`execute_with_timeout`), which no descendant escapes. As a context manager it is stopped at the end of the block.
    """

    def __init__(self, process: Pollable, grace_s: float) -> None:
        self._process = process
        self._grace_s = grace_s
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._verdict: Verdict | None = None

    def start(self, seconds: float) -> Self:
        """The time counts from now. An enforcer is started once."""
        if self._thread is not None:
            raise RuntimeError("this timeout enforcer was started before")
        self._thread = threading.Thread(target=self._enforce, args=(seconds,), name="bldr-timeout", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """No signal is sent after this returns."""
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def expired(self) -> bool:
        return self._verdict is not None

    @property
    def verdict(self) -> Verdict | None:
        """The limit and the time used, where the process was ended."""
        return self._verdict

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _enforce(self, seconds: float) -> None:
        began_s = time.monotonic()
        if self._done.wait(seconds) or self._process.poll() is not None:
            return
        self._verdict = Verdict("wall-time", seconds, time.monotonic() - began_s, "s")
        tree = _tree(self._process.pid)
        for process in tree:
            _signal(process, signal.SIGTERM)
        deadline_s = time.monotonic() + self._grace_s
        while any(map(_is_alive, tree)) and time.monotonic() < deadline_s and not self._done.wait(_POLL_INTERVAL_S):
            pass
        # Those that were started meanwhile too.
        for process in {*tree, *_tree(self._process.pid)}:
            _signal(process, signal.SIGKILL)


def _tree(pid: int) -> "list[psutil.Process]":
    import psutil

    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _is_alive(process: "psutil.Process") -> bool:
    """By looking, not by waiting: whoever started the process wants its exit status."""
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _signal(process: "psutil.Process", number: int) -> None:
    import psutil

    with contextlib.suppress(psutil.Error):  # gone meanwhile; psutil refuses a number that was given to a stranger
        process.send_signal(number)
