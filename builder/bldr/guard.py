"""What stands around calls of plugins' code: it must come back, print nothing, and leave the process as it was."""

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

LIMIT_S = 30.0
"""How long one call may take that only computes: reading a target, being imported."""

DETECTION_LIMIT_S = 900.0
"""How long one call may take that looks at the machine: toolchains of gigabytes are read and hashed."""

_TICKS = 4
"""How often within `LIMIT_S` the timer looks who is being called."""

_GRACE_TICKS = 3
"""After so many ticks more, code that swallowed what was raised in it ends with the process."""

USAGE = 2


class Overdue(BaseException):
    """Raised inside a plugin's code that did not come back in time; no `except Exception` of its own catches it.

    `place` is where it was: file and line.
    """

    def __init__(self, who: str, limit_s: float, place: str) -> None:
        super().__init__(f"{who} did not come back within {limit_s:g} s (it was at {place})")


class Guard:
    """Watches calls of plugins' code, in this thread and one at a time, while it is entered.

    The deadline is a timer of the main thread: where there is none (Windows, other threads, an embedder that has a
    timer of its own) calls may take as long as they like. Nothing is asked of the kernel for a single call.
    """

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self.printed: dict[str, str] = {}
        """What was printed to standard output, which is not a plugin's to write to: the first text of each."""
        self._limit_s = limit_s
        self._allowed_ticks = _TICKS
        self._who: object = None
        self._seen: object = None
        self._ticks = 0
        self._is_timed = False
        self._before: tuple[str, dict[Any, Any]] = ("", {})
        self._stdout: Any = None

    def __enter__(self) -> Self:
        self._before = _directory(), dict(_env())
        self._stdout, sys.stdout = sys.stdout, _Printed(self, sys.stdout)
        self._is_timed = _timer_is_free()
        if self._is_timed:
            signal.signal(signal.SIGALRM, self._tick)
            signal.setitimer(signal.ITIMER_REAL, self._limit_s / _TICKS, self._limit_s / _TICKS)
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_timed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        sys.stdout = self._stdout

    def calls(self, who: object) -> None:
        """From here on the code of `who` runs; its text is for messages and is asked for only then."""
        self._who = who

    def is_back(self) -> None:
        """Our own code runs again."""
        self._who = None

    @contextmanager
    def detecting(self, who: object) -> Iterator[None]:
        """In the midst of a call, another plugin looks at the machine, for which there is more time."""
        outer, self._who = self._who, who
        allowed, self._allowed_ticks = self._allowed_ticks, int(_TICKS * max(DETECTION_LIMIT_S / self._limit_s, 1))
        try:
            yield
        finally:
            self._who, self._allowed_ticks, self._seen = outer, allowed, None

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """In the midst of a call, our own code does what may take as long as it takes: it fetches."""
        outer, self._who = self._who, None
        try:
            yield
        finally:
            self._who, self._seen = outer, None

    def changed(self) -> str:
        """What the last call changed of the process ("" for nothing); it is put back as it was."""
        directory, env = self._before
        moved = _directory() != directory
        if not moved and _env() == env:
            return ""
        if moved and directory:
            os.chdir(directory)
        _restore_env(env)
        return "the working directory" if moved else "the environment of bldr"

    def note(self, text: str) -> None:
        """Something was printed."""
        if text.strip():
            self.printed.setdefault(str(self._who or "a plugin"), text.strip()[:200])

    def _tick(self, _number: int, frame: FrameType | None) -> None:
        if self._who is None or self._who is not self._seen:
            self._seen, self._ticks = self._who, 0
            return
        self._ticks += 1
        if self._ticks < self._allowed_ticks:
            return
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "an unknown place"
        overdue = Overdue(str(self._who), self._limit_s * self._allowed_ticks / _TICKS, place)
        if self._ticks >= self._allowed_ticks + _GRACE_TICKS:
            os.write(2, f"error: {overdue}, and does not let itself be ended\n".encode())
            os._exit(USAGE)
        raise overdue


def is_plugins_own(error: BaseException) -> bool:
    """Whether what was raised in a plugin is the plugin's fault, and not somebody who interrupts this process."""
    if isinstance(error, KeyboardInterrupt):
        return signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    return True


def described(error: BaseException) -> str:
    """An error of a stranger's code, in one line."""
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class _Printed(io.TextIOBase):
    """Stands in for standard output; what other threads write goes where it belongs."""

    def __init__(self, guard: Guard, real: Any) -> None:
        self._guard = guard
        self._real = real
        self._thread = threading.get_ident()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if threading.get_ident() != self._thread:
            return int(self._real.write(text))
        self._guard.note(text)
        return len(text)


def _directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""


def _env() -> Any:
    """The mapping below os.environ, which decodes every name and value whenever it is compared."""
    return getattr(os.environ, "_data", os.environ)


def _restore_env(env: dict[Any, Any]) -> None:
    data = getattr(os.environ, "_data", None)
    decode = getattr(os.environ, "decodevalue", str)
    wanted = {decode(name): decode(value) for name, value in env.items()} if data is not None else env
    for name in [name for name in os.environ if name not in wanted]:
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _timer_is_free() -> bool:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        return False
    return signal.getsignal(signal.SIGALRM) is signal.SIG_DFL and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
