"""The tests of one plan when all has ended: the files that they left, and what became of each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from bldr.api.errors import CacheError
from bldr.api.events import TestFinished, TestSummary
from bldr.api.labels import Label
from bldr.execute.result import ActionResult
from bldr.execute.runners import Outcome
from bldr.graph.actions import ActionNode, TestPart
from bldr.plan.entries import Entry
from bldr.store.digest import Digest
from bldr.store.store import Store

_SEVERITY = ("passed", "flaky", "not_run", "timeout", "failed")
"""The status of a test is that of its worst part."""


class Counts(NamedTuple):
    """How many tests ended how; those that are `flaky` passed, too."""

    passed: int
    flaky: int
    failed: int
    not_run: int
    runs_failed: int


class _Attempt(NamedTuple):
    """One attempt of one part, and the directory of what it left."""

    part: TestPart
    number: int
    attempts: int
    result: ActionResult | None
    cached: bool
    directory: str

    @property
    def status(self) -> str:
        if self.result is None or self.result.status in ("setup", "isolation", "interrupted"):
            return "not_run"
        if self.result.is_ok:
            return "passed"
        verdict = self.result.verdict
        return "timeout" if verdict is not None and verdict.limit == "wall-time" else "failed"


class Tests:
    """Looks at `outcomes`, which are those of the nodes of `tests` by their index, as far as there are any."""

    __test__ = False

    def __init__(
        self, tests: Mapping[Label, Sequence[ActionNode]], outcomes: Mapping[int, Outcome], store: Store
    ) -> None:
        self._tests = tests
        self._outcomes = outcomes
        self._store = store

    # Files

    def files(self) -> dict[Label, tuple[Entry, ...]]:
        """What is to stand below the directory of every test of which anything ran."""
        found = {}
        for label in self._tests:
            entries = [entry for attempt in self._attempts(label) for entry in self._left(attempt)]
            if entries:
                found[label] = tuple(sorted(entries))
        return found

    def _left(self, attempt: _Attempt) -> Iterator[Entry]:
        """The log, also an empty one: what an earlier run printed must not stand in its place."""
        result, stem = attempt.result, attempt.part.stem
        if result is None:
            return
        log: Digest = result.log or self._store.blobs.put_bytes(b"")
        yield Entry(f"{attempt.directory}/test.log", log.hash, log.size_bytes)
        for entry in result.outputs:
            if entry.hash or entry.link:
                place = attempt.directory + entry.path.removeprefix(stem)
                yield Entry(place, entry.hash, entry.size_bytes, entry.executable, entry.link)

    def _attempts(self, label: Label) -> Iterator[_Attempt]:
        for node in self._tests[label]:
            part, outcome = node.test, self._outcomes.get(node.index)
            assert part is not None
            if outcome is None:
                yield _Attempt(part, 1, 1, None, False, part.stem)
                continue
            results = (*outcome.earlier, outcome.result)
            for number, result in enumerate(results, 1):
                is_last = number == len(results)
                directory = part.stem if is_last else f"{part.stem}/attempt_{number}"
                yield _Attempt(part, number, len(results), result, outcome.cached, directory)

    # Events

    def finished(
        self, label: Label, written: Callable[[str], str], why: Callable[[ActionNode], str]
    ) -> list[TestFinished]:
        """Every attempt at every part. `written` gives the place of a file below the folder of outputs, "" where it was
        not written; `why` says why a part did not run."""
        nodes = {node.test.stem: node for node in self._tests[label] if node.test is not None}
        events = []
        for attempt in self._attempts(label):
            part, result = attempt.part, attempt.result
            left = {entry.path for entry in result.outputs} if result else set()
            has_outputs = any(path.startswith(f"{part.stem}/outputs/") for path in left)
            has_xml = f"{part.stem}/test.xml" in left
            events.append(
                TestFinished(
                    label=str(label),
                    status=attempt.status,
                    cached=attempt.cached,
                    duration_s=result.duration_s if result else 0.0,
                    run=part.run,
                    runs=part.runs,
                    shard=part.shard,
                    shards=part.shards,
                    attempt=attempt.number,
                    attempts=attempt.attempts,
                    log=(written(f"{attempt.directory}/test.log") or self._blob(result)) if result else "",
                    xml=written(f"{attempt.directory}/test.xml") if has_xml else "",
                    outputs=written(f"{attempt.directory}/outputs") if has_outputs else "",
                    message=result.message if result else why(nodes[part.stem]),
                )
            )
        return events

    def _blob(self, result: ActionResult) -> str:
        try:
            return self._store.blobs.path(result.log) if result.log else ""
        except CacheError:
            return ""  # the log of a cached result was lost: the result still is what it is


def summary_of(finished: Sequence[TestFinished], *, is_built: bool) -> TestSummary:
    """What the attempts of one test come to."""
    last = [event for event in finished if event.attempt == event.attempts]
    statuses = ["flaky" if event.status == "passed" and event.attempts > 1 else event.status for event in last]
    status = max(statuses, key=_SEVERITY.index)
    counted = last if len(last) == len(finished) else finished
    bad = [event for event in finished if event.status in ("failed", "timeout")]
    wanted = ("failed", "timeout") if status == "flaky" else (status,)
    worst = next((event for event in finished if event.status in wanted), finished[-1])
    return TestSummary(
        label=finished[0].label,
        status="not_built" if status == "not_run" and not is_built else status,
        cached=all(event.cached for event in last),
        duration_s=sum(event.duration_s for event in finished),
        runs=last[0].runs,
        shards=last[0].shards,
        total=len(counted),
        failed=sum(event.status in ("failed", "timeout") for event in counted),
        logs=tuple(event.log for event in bad if event.log),
        message=worst.message,
    )


def count(summaries: Sequence[TestSummary], finished: Sequence[TestFinished]) -> Counts:
    """The numbers for the end of the build."""
    statuses = [summary.status for summary in summaries]
    flaky = statuses.count("flaky")
    last = [event for event in finished if event.attempt == event.attempts]
    return Counts(
        passed=statuses.count("passed") + flaky,
        flaky=flaky,
        failed=statuses.count("failed") + statuses.count("timeout"),
        not_run=statuses.count("not_run") + statuses.count("not_built"),
        runs_failed=sum(event.status in ("failed", "timeout") for event in last),
    )
