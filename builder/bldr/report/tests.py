"""The results of tests, gathered from the stream: what `bldr test` prints at its end."""

from typing import Any

from bldr.api.events import Event, TestFinished, TestSummary
from bldr.report import sentences


class TestResults:
    """Owns the results of one build, in the order in which they came."""

    __test__ = False
    kinds = (TestFinished, TestSummary)

    def __init__(self) -> None:
        self._attempts: dict[str, list[TestFinished]] = {}
        self._summaries: list[TestSummary] = []

    def on_event(self, event: Event) -> None:
        """Keep the results of tests."""
        if isinstance(event, TestFinished):
            self._attempts.setdefault(event.label, []).append(event)
        elif isinstance(event, TestSummary):
            self._summaries.append(event)

    def close(self) -> None:
        """Nothing to let go of."""

    def lines(self) -> list[str]:
        """One line for each test, in the order of labels, and where to read on about what failed."""
        return [line for event in self._sorted() for line in sentences.test_lines(event)]

    def as_json(self) -> list[dict[str, Any]]:
        """The same as values for JSON, with every attempt at every part."""
        names = ("label", "status", "cached", "duration_s", "runs", "shards", "total", "failed", "message")
        parts = ("status", "cached", "duration_s", "run", "shard", "attempt", "log", "xml", "outputs", "message")
        return [
            {
                **{name: getattr(event, name) for name in names},
                "attempts": [
                    {part: getattr(one, part) for part in parts} for one in self._attempts.get(event.label, ())
                ],
            }
            for event in self._sorted()
        ]

    def _sorted(self) -> list[TestSummary]:
        return sorted(self._summaries, key=lambda event: event.label)
