"""The listener for logs and pipes: silent about what went well, complete about what did not, and one last line."""

from collections.abc import Callable
from typing import Protocol

from bldr.api.events import (
    ActionFinished,
    ActionStarted,
    BuildFinished,
    Error,
    Event,
    TestFinished,
    TestOutput,
)
from bldr.api.events import Warning as WarningEvent
from bldr.report import sentences
from bldr.report.text import excerpt
from bldr.report.use import MostUse

LogFrame = Callable[[str, str], tuple[str, str]]
"""(title, text) -> what stands before and after a log, so that a CI system folds it and obeys nothing inside."""


class Out(Protocol):
    """What a listener needs of a text stream."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> None: ...


class PlainListener:
    """Writes lines to `out`. `verbosity`: -1 failures only, 0 with warnings and the summary, 1 every action that ran
    and what was used most, 2 also what was served from the cache and why the rest was not."""

    kinds = (ActionStarted, ActionFinished, TestFinished, TestOutput, Error, WarningEvent, BuildFinished)

    def __init__(
        self, out: Out, *, verbosity: int = 0, test_output: str = "errors", frame: LogFrame | None = None
    ) -> None:
        self._out = out
        self._verbosity = verbosity
        self._test_output = test_output
        self._frame = frame
        self._titles: dict[int, str] = {}
        self._use = MostUse()
        self._is_line_begun = False  # by a test whose output is shown while it runs
        self.errors_shown: set[str] = set()

    def on_event(self, event: Event) -> None:
        """Write what the event is worth."""
        if isinstance(event, ActionStarted):
            self._titles[event.action_id] = sentences.action_title(event.label, event.mnemonic, event.message)
            if self._test_output == "streamed" and event.mnemonic == "Test" and self._verbosity >= 0:
                self._write([self._titles[event.action_id]])
            if self._verbosity >= 2 and event.reason:
                self._write([f"{self._titles[event.action_id]}: {event.reason}"])
        elif isinstance(event, ActionFinished):
            self._action_finished(event)
        elif isinstance(event, TestFinished):
            self._test_finished(event)
        elif isinstance(event, TestOutput):
            self._is_line_begun = not event.text.endswith("\n")
            self._out.write(event.text)
            self._out.flush()
        elif isinstance(event, Error):
            self.errors_shown.add(event.message)
            self._write(sentences.problem(event))
        elif isinstance(event, WarningEvent):
            if self._verbosity >= 0:
                self._write(sentences.problem(event))
        elif isinstance(event, BuildFinished) and self._verbosity >= 0:
            nothing_began = self.errors_shown and not event.ran + event.cached + event.failed
            if self._verbosity >= 1:
                self._write(self._use.lines())
            if not nothing_began:  # the errors are the summary
                self._write([sentences.summary(event)])

    def close(self) -> None:
        """Let the last line out."""
        self._out.flush()

    def _action_finished(self, event: ActionFinished) -> None:
        title = self._titles.pop(event.action_id, "") or sentences.action_title(event.label, event.mnemonic)
        self._use.add(event, title)
        if event.status == "interrupted":
            return
        if event.status != "ok":
            lines = [sentences.failure(event, title), *sentences.reasons(event.message, event.hint)]
            hidden = event.mnemonic == "Test" and self._test_output in ("summary", "streamed")
            self._write(lines, "" if hidden else event.log, title)
        elif self._verbosity >= (2 if event.cached else 1):
            self._write([f"{title} (cached)" if event.cached else f"{title} ({event.duration_s:.1f}s)"])

    def _test_finished(self, event: TestFinished) -> None:
        """What failed was shown as an action already, and `bldr test` prints the results at its end."""
        if event.log and self._test_output == "all" and event.status == "passed":
            part = sentences.part_of_test(event)
            self._write([f"PASSED testing {event.label}{f' ({part})' if part else ''}"], event.log, event.label)

    def _write(self, lines: list[str], log: str = "", title: str = "") -> None:
        text = "\n" if self._is_line_begun else ""
        text += "".join(f"{line}\n" for line in lines)
        self._is_line_begun = False
        if log:
            shown = excerpt(log).text
            before, after = self._frame(title, shown) if self._frame and shown else ("", "")
            text += before + shown + after
        self._out.write(text)
        self._out.flush()
