"""One launch while a cell runs it."""

from __future__ import annotations

import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from typing import Any

    from bldr_linux.cradle import Newborn
    from bldr_linux.plan import Plan
    from bldr_linux.resident import Ready
    from bldr_linux.supervision import Supervisor, Verdict


def _marshalled(data: bytes) -> list[tuple[Any, ...]]:
    return [marshal.loads(data)]  # noqa: S302 - pid 1 is ours


class Waiting:
    """One launch before it has started: it may have to wait until it is its turn."""

    def __init__(self, launch_id: int, plan: Plan, stdio: tuple[int, ...], *, in_turn: bool) -> None:
        self.launch_id = launch_id
        self.plan = plan
        self.stdio = stdio
        self.in_turn = in_turn
        self.has_turn = False
        self.sandbox: Newborn | Ready | None = None  # that was made ahead

    def close(self) -> None:
        for fd in self.stdio:
            os.close(fd)


class Running:
    """One launch: its pid 1, what pid 1 says, and when its time is over."""

    def __init__(
        self, launch_id: int, plan: Plan, supervisor: Supervisor, now_s: float, reports: _socket.socket
    ) -> None:
        self.launch_id = launch_id
        self.plan = plan
        self.supervisor = supervisor
        self.started_s = now_s
        self.reports = reports
        self.pid = 0
        self.pidfd = -1
        self.listener_fd = -1
        self.verdict: Verdict | None = None
        self.kill_s: float | None = None
        self.report: tuple[Any, ...] | None = None
        self.messages: Callable[[bytes], list[tuple[Any, ...]]] = _marshalled
        self.used: dict[str, Any] | None = None  # what pid 1 says when nobody else is left
        self.inner: _socket.socket | None = None
        self.refused: tuple[Any, ...] | None = None
        self.has_turn = False
        self.is_killed = False
        self.asked = ""  # what the engine has not answered yet: "waiting" or "started"

    def close(self) -> None:
        """Let go of everything but the process itself."""
        self.reports.close()
        if self.inner is not None:
            self.inner.close()
        os.close(self.pidfd)
        if self.listener_fd >= 0:
            os.close(self.listener_fd)
