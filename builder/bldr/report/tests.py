"""The results of tests, gathered from the stream: what `bldr test` prints at its end."""

from typing import Any

from bldr.api.events import Event, TestFinished
from bldr.report import sentences


class TestResults:
    """Owns the results of one build, in the order in which they came."""

    __test__ = False

    def __init__(self) -> None:
        self.finished: list[TestFinished] = []

    def on_event(self, event: Event) -> None:
        """Keep the results of tests."""
        if isinstance(event, TestFinished):
            self.finished.append(event)

    def close(self) -> None:
        """Nothing to let go of."""

    def lines(self) -> list[str]:
        """One line for each run of each test, in the order of labels."""
        return [sentences.test_line(event) for event in self._sorted()]

    def as_json(self) -> list[dict[str, Any]]:
        """The same as values for JSON."""
        names = ("label", "status", "cached", "duration_s", "run", "runs", "log", "message")
        return [{name: getattr(event, name) for name in names} for event in self._sorted()]

    def _sorted(self) -> list[TestFinished]:
        return sorted(self.finished, key=lambda event: (event.label, event.run))
