"""What CI systems show beside the code: annotations, a job summary, folded logs; GitHub's and GitLab's forms.

GitHub reads workflow commands (`::error file=...::text`) from the output of a step and a summary in Markdown from the
file that $GITHUB_STEP_SUMMARY names. GitLab folds sections that escape sequences mark, and shows a report of code
quality (a JSON list) in merge requests.
"""

import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, TextIO

import msgspec

from bldr.api.actions import TREE_ROOT
from bldr.api.events import ActionFinished, ActionStarted, BuildFinished, BuildStarted, Error, Event, TestSummary
from bldr.api.events import Warning as WarningEvent
from bldr.report import sentences
from bldr.report.text import duration, excerpt

GITLAB_REPORT = "bldr-out/gl-code-quality-report.json"
"""Where the report for GitLab stands, below the workspace."""

SHOWN_ANNOTATIONS = 50
"""GitHub shows 10 errors of a step and 50 of a job; a log of a thousand diagnostics helps nobody."""

_DIAGNOSTIC = re.compile(
    r"^(?P<file>[^\s:][^:\n]*):(?P<line>\d+):(?:(?P<column>\d+):)? (?P<level>fatal error|error|warning): (?P<text>.+)$",
    re.MULTILINE,
)


class Note(NamedTuple):
    """One remark at one place. `level` is error or warning; `file` is relative to the workspace, "" where unknown."""

    level: str
    title: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0


def notes_of(event: Event, title: str = "") -> list[Note]:
    """What an event has to say at places: the compiler's own diagnostics where a failed action printed any."""
    if isinstance(event, Error):
        return [Note("error", "bldr", _with_hint(event.message, event.hint), event.file, event.line, event.column)]
    if isinstance(event, WarningEvent):
        return [Note("warning", event.kind, _with_hint(event.message, event.hint), event.file, event.line)]
    if isinstance(event, TestSummary) and event.status in ("failed", "timeout", "flaky"):
        level = "warning" if event.status == "flaky" else "error"
        return [Note(level, event.label, "\n".join([sentences.test_line(event), *event.message.splitlines()[:1]]))]
    if not isinstance(event, ActionFinished) or event.status in ("ok", "interrupted") or event.mnemonic == "Test":
        return []
    notes = _diagnostics(excerpt(event.log).text, title) if event.log else []
    if any(note.level == "error" for note in notes):
        return notes
    first = sentences.failure(event, title)
    return [*notes, Note("error", title, "\n".join([first, *sentences.reasons(event.message, event.hint)]))]


def _diagnostics(log: str, title: str) -> list[Note]:
    notes = []
    for match in _DIAGNOSTIC.finditer(log):
        level = "warning" if match["level"] == "warning" else "error"
        file = match["file"].removeprefix(f"{TREE_ROOT}/").removeprefix("/build/").removeprefix("./")
        notes.append(Note(level, title, match["text"], file, int(match["line"]), int(match["column"] or 0)))
    return notes[:SHOWN_ANNOTATIONS]


def _with_hint(message: str, hint: str) -> str:
    return f"{message}\nhint: {hint}" if hint else message


class GitHubListener:
    """Writes annotations to the step's output and, at the end, the job summary."""

    def __init__(self, out: TextIO, environ: Mapping[str, str], root: str = "") -> None:
        """`root` is the workspace's directory, for errors that come before the build begins."""
        self._out = out
        self._summary_path = environ.get("GITHUB_STEP_SUMMARY", "")
        self._below = _below(environ.get("GITHUB_WORKSPACE", ""), root)
        self._written = 0
        self._titles: dict[int, str] = {}
        self._summary = _Summary()

    def on_event(self, event: Event) -> None:
        """Annotate, and remember for the summary."""
        title = _title(event, self._titles)
        self._summary.add(event, title)
        for note in notes_of(event, title):
            if self._written < SHOWN_ANNOTATIONS:
                self._written += 1
                self._out.write(github_command(note, self._below))
        self._out.flush()

    def close(self) -> None:
        """Append the summary to the job's."""
        if self._summary_path and (text := self._summary.markdown()):
            with open(self._summary_path, "a", encoding="utf-8") as file:
                file.write(text)


def github_command(note: Note, below: str = "") -> str:
    """The workflow command that makes the annotation; `below` is the workspace's place in the repository."""
    properties = {"title": note.title}
    if note.file and not note.file.startswith(("/", "..")):
        properties["file"] = f"{below}{note.file}"
        if note.line:
            properties["line"] = str(note.line)
        if note.column:
            properties["col"] = str(note.column)
    listed = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in sorted(properties.items()))
    return f"::{note.level} {listed}::{_escaped(note.message)}\n"


def _escaped(text: str, also: str = "") -> str:
    """Percent-escapes, as the runner undoes them; the percent sign first."""
    for character in f"%\r\n{also}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def github_frame(token: Callable[[], str] = lambda: secrets.token_hex(16)) -> Callable[[str, str], tuple[str, str]]:
    """A frame for logs: inside it the runner obeys no command, so that a log cannot annotate, mask or set anything."""

    def frame(title: str, _text: str) -> tuple[str, str]:
        word = token()
        return f"::group::log of {_escaped(title)}\n::stop-commands::{word}\n", f"::{word}::\n::endgroup::\n"

    return frame


class GitLabListener:
    """Collects remarks and writes the report of code quality when the build is over."""

    def __init__(self, environ: Mapping[str, str], root: str = "") -> None:
        """`root` is the workspace's directory; where there is none, no report is written."""
        self._root = root
        self._below = _below(environ.get("CI_PROJECT_DIR", ""), root)
        self._is_build = False
        self._titles: dict[int, str] = {}
        self._notes: dict[Note, None] = {}

    def on_event(self, event: Event) -> None:
        """Keep what has a place."""
        self._is_build |= isinstance(event, BuildFinished)
        title = _title(event, self._titles)
        for note in notes_of(event, title):
            if note.file and not note.file.startswith(("/", "..")):
                self._notes[note] = None

    def close(self) -> None:
        """Write the report, also an empty one: it says that what was reported before is mended."""
        if not self._root or not self._is_build:
            return
        path = os.path.join(self._root, GITLAB_REPORT)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(msgspec.json.encode([gitlab_issue(note, self._below) for note in self._notes]) + b"\n")


def gitlab_issue(note: Note, below: str = "") -> dict[str, object]:
    """The note as GitLab's report of code quality has it. The fingerprint outlives edits above the line."""
    path = f"{below}{note.file}"
    identity = "\0".join((path, note.level, note.message))
    return {
        "description": note.message,
        "check_name": note.title,
        "fingerprint": hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest(),
        "severity": "major" if note.level == "error" else "minor",
        "location": {"path": path, "lines": {"begin": max(note.line, 1)}},
    }


def gitlab_frame(now: Callable[[], float] = time.time) -> Callable[[str, str], tuple[str, str]]:
    """A frame for logs: a section of its own, which people fold. Logs themselves can hold no marker once sanitised."""
    sections = iter(range(1, 1 << 31))

    def frame(title: str, _text: str) -> tuple[str, str]:
        name = f"bldr_log_{next(sections)}"
        before = f"\x1b[0Ksection_start:{int(now())}:{name}\r\x1b[0Klog of {title}\n"
        return before, f"\x1b[0Ksection_end:{int(now())}:{name}\r\x1b[0K\n"

    return frame


class _Summary:
    """What the job summary tells: the outcome, tests that failed, actions that failed."""

    def __init__(self) -> None:
        self._command = ""
        self._failures: list[tuple[str, str]] = []
        self._tests: list[TestSummary] = []
        self._finished: BuildFinished | None = None

    def add(self, event: Event, title: str) -> None:
        if isinstance(event, BuildStarted):
            self._command = " ".join(["bldr", event.command, *event.patterns])
        elif isinstance(event, TestSummary) and event.status != "passed":
            self._tests.append(event)
        elif isinstance(event, Error):
            self._failures.append(("\n".join(sentences.problem(event)), ""))
        elif isinstance(event, ActionFinished) and event.status not in ("ok", "interrupted") and not event.again:
            self._failures.append((sentences.failure(event, title), event.log))
        elif isinstance(event, BuildFinished):
            self._finished = event

    def markdown(self) -> str:
        if not self._finished and not self._failures:
            return ""
        lines = [f"### {_code(self._command or 'bldr')}", ""]
        if self._finished:
            lines += [_plain(sentences.summary(self._finished)), ""]
        if self._tests:
            lines += ["| test | result | time |", "| --- | --- | --- |"]
            lines += [
                f"| {_code(test.label)} | {test.status.replace('_', ' ')} | {duration(test.duration_s)} |"
                for test in self._tests
            ]
            lines.append("")
        for first, log in self._failures[:SHOWN_ANNOTATIONS]:
            lines += [_plain(first), ""]
            if log:
                lines += [_fenced(excerpt(log, 8 << 10).text), ""]
        return "\n".join(lines) + "\n"


def _title(event: Event, titles: dict[int, str]) -> str:
    """The title of an action, known from its start."""
    if isinstance(event, ActionStarted):
        titles[event.action_id] = sentences.action_title(event.label, event.mnemonic, event.message)
    if isinstance(event, ActionFinished):
        return titles.pop(event.action_id, "") or sentences.action_title(event.label, event.mnemonic)
    return ""


def _below(repository: str, root: str) -> str:
    """The workspace's place in the repository, as a prefix of paths; "" for its root and where it is not known."""
    if not repository or not os.path.isabs(root):
        return ""
    relative = os.path.relpath(os.path.realpath(root), os.path.realpath(repository))
    return "" if relative == "." or relative.startswith("..") else f"{relative}/"


def _plain(text: str) -> str:
    """Text in which Markdown and HTML mean nothing."""
    return re.sub(r"([\\`*_{}\[\]<>()#|~])", r"\\\1", text).replace("\n", "  \n")


def _code(text: str) -> str:
    cell = text.replace("|", "\\|").replace("\n", " ")
    fence = "`" * (_longest_run(text) + 1)
    return f"{fence} {cell} {fence}" if "`" in text else f"`{cell}`"


def _fenced(text: str) -> str:
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}text\n{text}{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
