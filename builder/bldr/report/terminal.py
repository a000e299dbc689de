"""The listener for a terminal: what runs now below, what went wrong above it in full.

`rich` is imported when something runs for the first time, so that a build of which nothing runs does not pay for it.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from bldr.api.events import ActionFinished, ActionStarted, AnalysisFinished, BuildFinished, Event
from bldr.report import sentences
from bldr.report.plain import PlainListener
from bldr.report.text import duration, sanitize

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

RUNNING_LINES = 8
"""Running actions that are shown at once, the longest-running first."""

REDRAW_S = 0.1
ESTIMATE_AFTER = 5
"""Finished actions before the remaining time is guessed."""


class TerminalListener:
    """Owns the lines at the bottom of the terminal. Everything above them is written by a `PlainListener`."""

    kinds = (*PlainListener.kinds, AnalysisFinished)

    def __init__(
        self,
        out: TextIO,
        *,
        verbosity: int = 0,
        test_output: str = "errors",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out = out
        self._clock = clock
        self._above = PlainListener(_Above(self), verbosity=verbosity, test_output=test_output)
        self._console: Console | None = None
        self._live: Live | None = None
        self._progress = Progress()
        self._start_s = clock()
        self._drawn_s = -REDRAW_S

    @property
    def errors_shown(self) -> set[str]:
        """Messages of errors that are on the screen."""
        return self._above.errors_shown

    def on_event(self, event: Event) -> None:
        """Take the event in, write what is worth keeping, draw what runs."""
        now_s = self._clock() - self._start_s
        self._progress.add(event, now_s)
        if isinstance(event, ActionStarted) and self._live is None:
            self._open()
        if isinstance(event, BuildFinished):
            self._close_live()
        self._above.on_event(event)
        if isinstance(event, ActionStarted | ActionFinished):
            self.tick()

    def tick(self) -> None:
        """Draw again if the last drawing is old enough."""
        if self._live is None:
            return
        now_s = self._clock() - self._start_s
        if now_s - self._drawn_s >= REDRAW_S:
            self._drawn_s = now_s
            self._live.update(self._drawing(now_s), refresh=True)

    def close(self) -> None:
        """Give the terminal back as it was."""
        self._close_live()
        self._above.close()

    def write_above(self, text: str) -> None:
        """Write lines that stay; they are text, never markup."""
        if self._live is None or self._console is None:
            self._out.write(text)
            self._out.flush()
            return
        from rich.text import Text

        shown = Text(text.rstrip("\n"), no_wrap=False)
        if text.startswith("FAILED"):
            shown.stylize("bold red", 0, text.find("\n"))
        self._console.print(shown, soft_wrap=True)

    def _open(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=self._out, highlight=False, markup=False, emoji=False)
        # Drawn by `tick` in the engine's own thread: a thread of rich's would be there when something forks.
        self._live = Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()

    def _close_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _drawing(self, now_s: float) -> "Text":
        from rich.text import Text

        width = self._console.width if self._console else 80
        height = self._console.height if self._console else 25
        head, *running = self._progress.lines(now_s, min(RUNNING_LINES, max(height - 2, 1)))
        drawing = Text(no_wrap=True, overflow="ellipsis")
        drawing.append(_shortened(head, width), "bold")
        for line in running:
            drawing.append("\n" + _shortened(line, width))
        return drawing


class Progress:
    """What is running, what is done and how long the rest may take. Knows no terminal."""

    def __init__(self) -> None:
        self._running: dict[int, tuple[str, float]] = {}
        self._total = 0
        self._finished = 0
        self._failed = 0
        self._remaining = 0
        self._first_s: float | None = None
        self._last_s = 0.0

    def add(self, event: Event, now_s: float) -> None:
        """Take an event in."""
        if isinstance(event, AnalysisFinished):
            self._total = self._remaining = event.actions + event.tests
        elif isinstance(event, ActionStarted):
            if self._first_s is None:
                self._first_s = now_s
            title = sanitize(sentences.action_title(event.label, event.mnemonic, event.message)).replace("\n", " ")
            self._running[event.action_id] = (title, now_s)
        elif isinstance(event, ActionFinished):
            self._running.pop(event.action_id, None)
            self._finished += 1
            self._last_s = now_s
            self._failed += event.status not in ("ok", "interrupted") and not event.again
            self._remaining = event.remaining
            self._total = max(self._total, self._finished + self._remaining)

    def remaining_s(self, now_s: float) -> float | None:
        """A guess from the pace so far; None where it is too early for one."""
        if self._first_s is None or self._finished < ESTIMATE_AFTER or not self._remaining:
            return None
        whole_s = (self._last_s - self._first_s) / self._finished * self._remaining
        return max(whole_s - (now_s - self._last_s), 0.0)

    def lines(self, now_s: float, count: int) -> list[str]:
        """A line that sums up, and one for each of the `count` longest-running actions."""
        parts = [f"[{self._finished}/{self._total}]", f"{len(self._running)} running"]
        if self._failed:
            parts.append(f"{self._failed} failed")
        parts.append(duration(now_s))
        left_s = self.remaining_s(now_s)
        if left_s is not None:
            parts.append(f"about {duration(left_s)} left")
        running = sorted(self._running.values(), key=lambda entry: entry[1])
        lines = [", ".join(parts).replace("],", "]", 1)]
        lines += [f"  {duration(now_s - start_s):>7} {title}" for title, start_s in running[:count]]
        if len(running) > count:
            lines[-1] = f"          and {len(running) - count + 1} more"
        return lines


def _shortened(line: str, width: int) -> str:
    """A line that fits, with its middle left out: labels differ at their ends."""
    if len(line) < width or width < 8:
        return line
    half = (width - 4) // 2
    return f"{line[:half]}...{line[-half:]}"


class _Above:
    """The part of a text stream that a `PlainListener` uses."""

    def __init__(self, terminal: TerminalListener) -> None:
        self._terminal = terminal

    def write(self, text: str) -> None:
        self._terminal.write_above(text)

    def flush(self) -> None:
        """Each write is shown at once."""
