"""The listener behind `--junit FILE`: test results as JUnit XML, one test suite for each target.

There is no one standard. What is written here lies in the intersection of the schemas in use (the one that Ant's
report task produces and the stricter reading of it, the one of Jenkins' xUnit plugin): no attribute on `testsuites`,
all attributes and the elements `properties`, `system-out` and `system-err` on every suite, at most one outcome in a
case. Where a test was tried again, the attempts that failed stand in its cases as Surefire writes them (`flakyFailure`
where it passed in the end, `rerunFailure` where it did not), which other readers pass over.
"""

import os
import re
import socket
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import NamedTuple, NoReturn

from bldr.api.errors import BldrError
from bldr.api.events import ActionFinished, Event, TestFinished
from bldr.printable import escaped
from bldr.report.sentences import part_of_test
from bldr.report.text import excerpt, sanitize

OWN_XML_BYTES = 16 << 20
"""A test's own report that is larger is not read."""

_NOT_IN_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OUTCOMES = ("failure", "error", "skipped")


class Case(NamedTuple):
    """One test case. `outcome` is "", failure, error or skipped."""

    name: str
    class_name: str
    duration_s: float
    outcome: str = ""
    kind: str = ""
    message: str = ""
    text: str = ""
    reruns: tuple["Case", ...] = ()  # attempts that failed as well


def _refuse(path: str, why: str) -> NoReturn:
    raise BldrError(
        f'cannot write test results to "{escaped(path)}": {why}',
        "name a file in a directory that exists and can be written",
    )


class JUnitListener:
    """Owns the results until the build ends, then writes them all at once."""

    def __init__(self, path: str, now: Callable[[], float] = time.time, host: str = "") -> None:
        """Raises BldrError when `path` cannot be written, before anything was built."""
        directory = os.path.dirname(path) or "."
        if not os.path.isdir(directory):
            _refuse(path, f'there is no directory "{directory}"')
        if os.path.isdir(path):
            _refuse(path, "it is a directory")
        if not os.access(directory, os.W_OK | os.X_OK):
            _refuse(path, f'you may not write to "{directory}"')
        self._path = os.path.abspath(path)
        self._started = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now()))
        self._host = host or socket.gethostname() or "localhost"
        self._runs: dict[str, list[TestFinished]] = {}
        self._ends: dict[str, list[ActionFinished]] = {}

    def on_event(self, event: Event) -> None:
        """Keep what belongs to tests. Their own reports are read at the end."""
        if isinstance(event, TestFinished):
            self._runs.setdefault(event.label, []).append(event)
        elif isinstance(event, ActionFinished) and event.mnemonic == "Test":
            self._ends.setdefault(event.label, []).append(event)

    def close(self) -> None:
        """Write the file: whole or not at all."""
        suites = ElementTree.Element("testsuites")
        for number, (label, runs) in enumerate(sorted(self._runs.items())):
            properties = {"cached": "true" if all(run.cached for run in runs) else "false"}
            if any(run.attempts > 1 for run in runs):
                properties["attempts"] = str(max(run.attempts for run in runs))
            properties |= _use(self._ends.get(label, []))
            suites.append(_suite(number, label, runs, properties, self._started, self._host))
        ElementTree.indent(suites)
        temporary = f"{self._path}.{os.getpid()}.tmp"
        try:
            ElementTree.ElementTree(suites).write(temporary, encoding="utf-8", xml_declaration=True)
            os.replace(temporary, self._path)
        finally:
            if os.path.lexists(temporary):
                os.unlink(temporary)


def _use(ends: list[ActionFinished]) -> dict[str, str]:
    """What all runs of a test used together, and the limits that ended them."""
    found = {}
    memory = [end.usage.memory_peak_bytes for end in ends if end.usage.memory_peak_bytes is not None]
    cpu = [end.usage.cpu_s for end in ends if end.usage.cpu_s is not None]
    verdicts = dict.fromkeys(str(end.verdict) for end in ends if end.verdict is not None)
    if memory:
        found["memory_peak_bytes"] = str(max(memory))
    if cpu:
        found["cpu_s"] = _seconds(sum(cpu))
    if verdicts:
        found["verdict"] = "; ".join(verdicts)
    return found


def _suite(
    number: int, label: str, runs: list[TestFinished], properties: dict[str, str], started: str, host: str
) -> ElementTree.Element:
    parts: dict[tuple[int, int], list[TestFinished]] = {}
    for run in runs:
        parts.setdefault((run.run, run.shard), []).append(run)
    cases = [case for attempts in parts.values() for case in _merged([(run, _cases(run)) for run in attempts])]
    count = {outcome: sum(case.outcome == outcome for case in cases) for outcome in _OUTCOMES}
    package, _, name = label.rpartition(":")
    suite = ElementTree.Element(
        "testsuite",
        id=str(number),
        name=_clean(name),
        package=_clean(package),
        timestamp=started,
        hostname=_clean(host),
        tests=str(len(cases)),
        failures=str(count["failure"]),
        errors=str(count["error"]),
        skipped=str(count["skipped"]),
        time=_seconds(sum(run.duration_s for run in runs)),
    )
    listed = ElementTree.SubElement(suite, "properties")
    for name, value in properties.items():
        ElementTree.SubElement(listed, "property", name=name, value=_clean(value))
    for case in cases:
        suite.append(_case(case))
    ElementTree.SubElement(suite, "system-out").text = _clean("".join(_log(run) for run in runs if run.log))
    ElementTree.SubElement(suite, "system-err")
    return suite


def _log(run: TestFinished) -> str:
    part = part_of_test(run)
    return (f"--- {part}\n" if part else "") + excerpt(run.log).text


def _merged(attempts: list[tuple[TestFinished, list[Case]]]) -> list[Case]:
    """The cases of one part: as the last attempt has them, with what went wrong in the attempts before it."""
    last, cases = attempts[-1]
    failed: dict[tuple[str, str], list[Case]] = {}
    for _, earlier in attempts[:-1]:
        for case in earlier:
            if case.outcome in ("failure", "error"):
                failed.setdefault((case.class_name, case.name), []).append(case)
    merged = []
    for case in cases:
        before = failed.pop((case.class_name, case.name), [])
        if before and case.outcome in ("failure", "error"):
            first, *rest = [*before, case]
            merged.append(first._replace(reruns=tuple(rest)))
        else:
            merged.append(case._replace(reruns=tuple(before)))
    for before in failed.values():  # what the last attempt says nothing of: one that crashed has told no cases
        first, *rest = before
        if last.status == "passed":
            merged.append(Case(first.name, first.class_name, first.duration_s, reruns=tuple(before)))
        else:
            merged.append(first._replace(reruns=tuple(rest)))
    return merged


def _case(case: Case) -> ElementTree.Element:
    element = ElementTree.Element(
        "testcase", name=_clean(case.name), classname=_clean(case.class_name), time=_seconds(case.duration_s)
    )
    if case.outcome == "skipped":
        ElementTree.SubElement(element, "skipped")
    elif case.outcome:
        outcome = ElementTree.SubElement(element, case.outcome, type=_clean(case.kind), message=_clean(case.message))
        outcome.text = _clean(case.text)
    word = "rerun" if case.outcome in ("failure", "error") else "flaky"
    for rerun in case.reruns:
        name = f"{word}{rerun.outcome.capitalize()}"
        again = ElementTree.SubElement(element, name, type=_clean(rerun.kind), message=_clean(rerun.message))
        ElementTree.SubElement(again, "stackTrace").text = _clean(rerun.text)
    return element


def _cases(run: TestFinished) -> list[Case]:
    """The cases of one run: the test's own where it wrote a report, and the run itself where that says too little."""
    suffix = f" (run {run.run} of {run.runs})" if run.runs > 1 else ""
    package, _, name = run.label.rpartition(":")
    class_name = package.removeprefix("//").replace("/", ".") or name
    cases = [case._replace(name=case.name + suffix) for case in read_cases(run.xml, class_name)] if run.xml else []
    failed_inside = any(case.outcome in ("failure", "error") for case in cases)
    if cases and (run.status == "passed" or failed_inside):
        return cases
    # The whole run is a case of its own when the test reported nothing, or ended badly without saying where.
    outcome, kind = {
        "passed": ("", ""),
        "failed": ("failure", "failed"),
        "timeout": ("error", "timeout"),
        "not_run": ("error", "not run"),
    }.get(run.status, ("error", run.status))
    message = sanitize(run.message).strip() or (f"the test {kind}" if kind == "failed" else kind)
    whole = f"{name} (shard {run.shard} of {run.shards}){suffix}" if run.shards else name + suffix
    return [*cases, Case(whole, class_name, run.duration_s, outcome, kind, message if outcome else "")]


def read_cases(path: str, class_name: str) -> list[Case]:
    """The test cases of a report that a test wrote; none where it is missing, too large or not well-formed.

    The file is a stranger's: a document type, which entities would need, makes it unreadable to us.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read(OWN_XML_BYTES + 1)
        if len(raw) > OWN_XML_BYTES:
            return []
        parser = ElementTree.XMLParser(target=_WithoutDoctype())  # noqa: S314 - entities need a document type
        parser.feed(raw)
        root = parser.close()
    except (OSError, ElementTree.ParseError, ValueError, LookupError):
        return []
    return [_read_case(element, class_name) for element in root.iter("testcase")]


class _WithoutDoctype(ElementTree.TreeBuilder):
    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        """Called before the first entity could be used."""
        raise ValueError(f"document type {name} {public} {system}")


def _read_case(element: ElementTree.Element, class_name: str) -> Case:
    found = next((child for kind in _OUTCOMES for child in element if child.tag == kind), None)
    try:
        duration_s = max(float(element.get("time", "0").replace(",", "")), 0.0)
    except ValueError:
        duration_s = 0.0
    name = element.get("name", "").strip() or "unnamed"
    own_class = element.get("classname", "").strip() or class_name
    if found is None:
        return Case(name, own_class, duration_s)
    return Case(
        name,
        own_class,
        duration_s,
        found.tag,
        found.get("type") or found.tag,
        found.get("message", ""),
        found.text or "",
    )


def _clean(text: str) -> str:
    """Text without what XML 1.0 cannot hold, not even escaped."""
    return _NOT_IN_XML.sub("\ufffd", text)


def _seconds(seconds: float) -> str:
    """A decimal as XML Schema writes it: no exponent, no infinity."""
    return f"{min(max(seconds, 0.0), 1e9):.3f}" if seconds == seconds else "0.000"
