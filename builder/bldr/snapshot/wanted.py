"""What a build is told about the snapshot that is wanted of it, and what is listened to for its sake."""

import msgspec

from bldr.api.events import BuildFinished, Event, TestSummary
from bldr.api.events import Warning as WarningEvent

_WHEN_NOTHING_RAN = "0.0s"


class Wanted(msgspec.Struct, frozen=True):
    """Where a snapshot is to be, once the build succeeds. `started_ns` is when the process began to load its code,
    `twin` the key of what other checkouts can use ("": nothing)."""

    key: str
    started_ns: int
    is_quiet: bool = False
    twin: str = ""


class Heard:
    """Listens to a build for what the next one would print, and for what makes it one that cannot be foretold."""

    kinds = (WarningEvent, TestSummary, BuildFinished)

    def __init__(self) -> None:
        self.warnings = 0
        self.tests: list[TestSummary] = []
        self.finished: BuildFinished | None = None

    def on_event(self, event: Event) -> None:
        """Keep what counts."""
        if isinstance(event, WarningEvent):
            self.warnings += event.kind != "lock"  # who had to wait for another build will not have to again
        elif isinstance(event, TestSummary):
            self.tests.append(event)
        elif isinstance(event, BuildFinished):
            self.finished = event

    def said(self, *, is_quiet: bool) -> dict[str, str] | None:
        """What the next build prints if nothing changes: all of it cached. None where this one has not ended."""
        from bldr.report import sentences

        if self.finished is None:
            return None
        total = self.finished.ran + self.finished.cached
        summary = sentences.summary(
            msgspec.structs.replace(self.finished, ran=0, cached=total, duration_s=0.0, time_s=0.0)
        )
        tests = [msgspec.structs.replace(test, cached=True) for test in self.tests]
        lines = [sentences.test_line(test) for test in sorted(tests, key=lambda test: test.label)]
        return {
            "summary": "" if is_quiet else summary.removesuffix(_WHEN_NOTHING_RAN),
            "stdout": "" if is_quiet else "".join(f"{line}\n" for line in lines),
        }

    def close(self) -> None:
        """Nothing to let go of."""
