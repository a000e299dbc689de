"""The sentences in which people read events: the same words on a terminal, in a CI log and in a summary."""

from bldr.api.events import ActionFinished, BuildFinished, Error, TestFinished
from bldr.api.events import Warning as WarningEvent
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
    return f"FAILED {title}: {how} (after {duration(event.duration_s)})"


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


def test_line(event: TestFinished) -> str:
    """One line for one run of a test."""
    run = f" (run {event.run} of {event.runs})" if event.runs > 1 else ""
    how = "cached" if event.cached else f"in {duration(event.duration_s)}"
    word = {"passed": "PASSED", "failed": "FAILED", "timeout": "TIMEOUT", "not_run": "NOT RUN"}
    after = "" if event.status == "not_run" else f" {how}"
    return f"{event.label}{run} {word.get(event.status, event.status.upper())}{after}"


def summary(event: BuildFinished) -> str:
    """The last line of a build."""
    counts = [f"{event.ran} ran", f"{event.cached} cached"]
    if event.failed > event.tests_failed:  # a test that failed is an action that failed, and is counted as a test
        counts.insert(0, f"{event.failed - event.tests_failed} failed")
    tests = []
    if event.tests_failed:
        tests.append(f"{count(event.tests_failed, 'test')} failed")
    if event.tests_passed:
        tests.append(f"{count(event.tests_passed, 'test')} passed")
    word = "done" if event.success else "interrupted" if event.exit_code == 8 else "failed"
    return f"{word}: {', '.join(tests + counts)} in {duration(event.duration_s or event.time_s)}"
