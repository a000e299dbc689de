"""The sentences in which people read events: the same words on a terminal, in a CI log and in a summary."""

from bldr.api.events import ActionFinished, BuildFinished, Error, TestFinished, TestSummary
from bldr.api.events import Warning as WarningEvent
from bldr.printable import escaped
from bldr.report.text import count, duration, sanitize


def action_title(label: str, mnemonic: str, message: str = "") -> str:
    """What an action is called: whose it is and what its handler says of it, as far as that does not say it already."""
    if label in message:
        return message
    return f"{label}: {message or mnemonic}"


def failure(event: ActionFinished, title: str) -> str:
    """The first line of a failed action: what, how, after how long."""
    how = {
        "failed": f"exit code {event.exit_code}",
        "violated": "broke its declaration",
        "killed": str(event.verdict) if event.verdict else f"killed, exit code {event.exit_code}",
        "setup": "its sandbox could not be made",
        "interrupted": "interrupted",
    }.get(event.status, event.status)
    more = ", and is tried again" if event.again else ""
    return f"FAILED {title}: {how} (after {duration(event.duration_s)}){more}"


def reasons(message: str, hint: str) -> list[str]:
    """Message and hint as lines of their own; what an action could have written is made safe to show."""
    lines = sanitize(message).splitlines()
    return lines + [f"hint: {line}" for line in sanitize(hint).splitlines()]


def problem(event: Error | WarningEvent) -> list[str]:
    """An error or a warning with its place and hint, as lines; an error at a place needs no word for what it is."""
    column = f"{event.column}:" if isinstance(event, Error) and event.column else ""
    place = f"{event.file}:{event.line}:{column} " if event.file and event.line else ""
    place = place or (f"{event.file}: " if event.file else "")
    word = "warning: " if isinstance(event, WarningEvent) else "" if place else "error: "
    first, *rest = reasons(event.message, event.hint) or [""]
    return [f"{place}{word}{first}", *rest]


def part_of_test(event: TestFinished) -> str:
    """Which attempt at which part of its test an event tells of; "" for one that was all there was."""
    words = [f"shard {event.shard} of {event.shards}"] if event.shards else []
    words += [f"run {event.run} of {event.runs}"] if event.runs > 1 else []
    words += [f"attempt {event.attempt} of {event.attempts}"] if event.attempts > 1 else []
    return ", ".join(words)


def test_line(event: TestSummary) -> str:
    """One line for one test: `//:a (cached) PASSED in 0.3s`, `//:b FAILED in 2 out of 4 shards in 1.0s`."""
    words = {"not_run": "NO STATUS", "not_built": "FAILED TO BUILD", "flaky": "FLAKY, failed"}
    word = words.get(event.status, event.status.upper())
    if event.status in ("not_run", "not_built"):
        return f"{event.label} {word}"
    if event.failed and event.total > 1:
        is_repeated = event.total > event.runs * max(event.shards, 1)
        parts = "shards" if event.runs == 1 else "runs of shards" if event.shards else "runs"
        word += f" in {event.failed} out of {event.total} {'attempts' if is_repeated else parts}"
    cached = "(cached) " if event.cached else ""
    return f"{event.label} {cached}{word} in {duration(event.duration_s)}"


def test_lines(event: TestSummary) -> list[str]:
    """The line, and below it where to read on."""
    return [test_line(event), *(f"  {escaped(path)}" for path in event.logs)]


def summary(event: BuildFinished) -> str:
    """The last line of a build."""
    counts = [f"{event.ran} ran", f"{event.cached} cached"]
    if event.failed > event.runs_failed:  # a run of a test that failed is an action that failed: its test is counted
        counts.insert(0, f"{event.failed - event.runs_failed} failed")
    tests = []
    if event.tests_failed:
        tests.append(f"{count(event.tests_failed, 'test')} failed")
    if event.tests_not_run:
        tests.append(f"{count(event.tests_not_run, 'test')} not run")
    if event.tests_passed:
        flaky = f" ({event.tests_flaky} flaky)" if event.tests_flaky else ""
        tests.append(f"{count(event.tests_passed, 'test')} passed{flaky}")
    word = "done" if event.success else "interrupted" if event.exit_code == 8 else "failed"
    return f"{word}: {', '.join(tests + counts)} in {duration(event.duration_s or event.time_s)}"
