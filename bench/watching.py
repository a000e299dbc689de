"""A `bldr watch` that runs beside the builds that are measured."""

import importlib.util
import signal
import subprocess
import time
from types import TracebackType
from typing import Self

from measure import Contender, Skipped, timed_env
from tools import Bldr

_LONGEST_START_S = 180.0
# What was asked for once is proven in the background, and answered without a look at it from then on.
_PROOF_S, _PROOF_S_PER_TARGET = 0.5, 40e-6


class Watch:
    """Watches the workspace of `tool` between `__enter__` and `__exit__`. `problem` says why it does not."""

    def __init__(self, tool: Bldr) -> None:
        self._tool = tool
        self._process: subprocess.Popen[bytes] | None = None
        self.problem = ""

    def __enter__(self) -> Self:
        if importlib.util.find_spec("bldr.cli.watch") is None:
            self.problem = "this bldr has no command `watch` yet"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def contender(self, name: str, *, edited: bool = False) -> Contender | Skipped:
        """The build of `tool`, which starts the watch when its first turn comes, and is served by it; after an edit, if
        it is to be one."""
        prepare = self._edit if edited else self._start
        return Skipped(name, self.problem) if self.problem else Contender(name, self._tool.build, prepare)

    def _edit(self) -> None:
        self._start()
        self._rest()
        self._tool.edit()

    def _rest(self) -> None:
        time.sleep(_PROOF_S + self._tool.targets * _PROOF_S_PER_TARGET)

    def _start(self) -> None:
        if self._process is not None:
            return
        program, _, *words = self._tool.argv()
        log = f"{self._tool.directory}.watch"
        with open(log, "wb") as output:
            self._process = subprocess.Popen(
                [program, "watch", *words],
                cwd=self._tool.directory,
                env=timed_env(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        deadline_s = time.monotonic() + _LONGEST_START_S
        while time.monotonic() < deadline_s and self._process.poll() is None:
            with open(log, "rb") as printed:
                if b"watching" in printed.read():  # the first build is done, and its snapshot is written
                    self._tool.build()
                    self._rest()
                    return
            time.sleep(0.05)
        raise SystemExit(f"`bldr watch` is not ready: see what it printed in {log}")

    def _stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
