"""How one command of bldr ended: what ran, what came from the cache, what failed; and assertions that tell all."""

import os
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import msgspec

from bldr.api.errors import ExitCode

TAGS = ("failed", "violated", "killed", "setup", "test", "error", "isolation")
"""What may have gone wrong. Of an action, as its events say it: `failed`: its command said no; `violated`: inputs or
outputs are not as declared; `killed`: a limit was reached; `setup`: its sandbox could not be made. `test`: a test did
not pass. `error`: the build as a whole could not go on (a mistake in a Builderfile, a handler that refuses a target or
broke its contract). `isolation`: such an error, because the machine cannot isolate as was asked."""

_LOG_BYTES = 1 << 20
_SHOWN_CHARACTERS = 8000
_LAUNCH_MNEMONIC = "Test"


class Failure(msgspec.Struct, frozen=True):
    """One thing that went wrong: its tag, the label that it concerns ("" for none), and all that was said about it."""

    tag: str
    label: str
    text: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One command that has ended.

    Actions go by mnemonic and label: `"Compile //:hello"`. `events` are those of docs/reference/events.md; commands
    that give none leave them empty. `stdout` holds results, `stderr` messages.
    """

    command: tuple[str, ...]
    root: str
    exit_code: int
    stdout: str
    stderr: str
    events: tuple[dict[str, Any], ...] = ()

    @property
    def output(self) -> str:
        """All that was printed: results, then messages."""
        return self.stdout + self.stderr

    @property
    def ran(self) -> tuple[str, ...]:
        """The actions that ran and succeeded, sorted; a name stands here as often as it ran."""
        return self._actions(lambda event: event["status"] == "ok" and not event["cached"])

    @property
    def cached(self) -> tuple[str, ...]:
        """The actions whose results came from the cache, sorted."""
        return self._actions(lambda event: bool(event["cached"]))

    @property
    def failed(self) -> tuple[str, ...]:
        """The actions that ran and did not succeed, sorted."""
        return self._actions(lambda event: event["status"] != "ok")

    @property
    def tests(self) -> dict[str, str]:
        """The status of every test by label, with all its shards, runs and attempts: passed, flaky (passed, but not at
        the first attempt), failed, timeout, not_run or not_built."""
        return {event["label"]: event["status"] for event in self._of("test_summary")}

    @property
    def outputs(self) -> dict[str, tuple[str, ...]]:
        """By label the outputs of the targets that were asked for and made, as paths below the workspace."""
        return {event["label"]: tuple(event["outputs"]) for event in self._of("target_finished") if event["success"]}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the build warned of."""
        return tuple(event["message"] for event in self._of("warning"))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """All that went wrong, in the order in which it was told; no attempt at a test that passed at a later one."""
        return tuple(self._failures())

    def path_of(self, label: str, name: str = "") -> str:
        """The host path of a target's output: of its only one, or of the one whose path ends with `name`."""
        paths = self.outputs.get(label, ())
        found = [path for path in paths if not name or path == name or path.endswith(f"/{name}")]
        if len(found) != 1:
            wanted = f'an output "{name}"' if name else "one output"
            self._complain(f"expected {wanted} of {label}, which has: {', '.join(paths) or 'none'}")
        return os.path.join(self.root, found[0])

    def output_of(self, label: str, name: str = "") -> str:
        """The text of a target's output, chosen as by `path_of`."""
        return self.bytes_of(label, name).decode(errors="replace")

    def bytes_of(self, label: str, name: str = "") -> bytes:
        """The content of a target's output, chosen as by `path_of`."""
        with open(self.path_of(label, name), "rb") as file:
            return file.read()

    # Each assertion answers with the outcome itself, and fails with all that it knows.

    def assert_ok(self) -> "Outcome":
        """The command succeeded."""
        if self.exit_code != ExitCode.OK:
            self._complain("expected success")
        return self

    def assert_built(self, *labels: str) -> "Outcome":
        """The command succeeded, and these targets were asked for and made."""
        self.assert_ok()
        made = {event["label"] for event in self._of("target_finished") if event["success"]}
        missing = [label for label in labels if label not in made]
        if missing:
            self._complain(f"expected to be built: {', '.join(missing)}")
        return self

    def assert_passed(self, *labels: str) -> "Outcome":
        """The command succeeded, and so did these tests, at the first attempt or a later one; without labels all tests,
        of which there is one at least."""
        self.assert_ok()
        tests = self.tests
        wrong = [label for label in labels or tests if tests.get(label) not in ("passed", "flaky")]
        if wrong or not tests:
            self._complain(f"expected to pass: {', '.join(wrong) or 'a test'}")
        return self

    def assert_ran(self, *actions: str) -> "Outcome":
        """The command succeeded, and exactly these actions ran: each `"Mnemonic //label"` as often as it ran, or a
        label for whatever ran of that target."""
        self.assert_ok()
        if not _match(self.ran, actions):
            self._complain(f"expected to run, and nothing else: {', '.join(sorted(actions)) or 'nothing'}")
        return self

    def assert_cached(self, *actions: str) -> "Outcome":
        """The command succeeded, and these actions, or those of these labels, came from the cache; without any: all."""
        self.assert_ok()
        if not actions and self.ran:
            self._complain("expected everything from the cache")
        missing = [name for name in actions if not _names(name, self.cached) or _names(name, self.ran)]
        if missing:
            self._complain(f"expected from the cache: {', '.join(missing)}")
        return self

    def assert_failed(self, tag: str, match: str = "", label: str = "") -> "Outcome":
        """The command failed: something has this tag (see `TAGS`), concerns `label` where one is given, and what was
        said of it (message, hint, and what the action printed) matches the regular expression `match` somewhere."""
        if tag not in TAGS:
            raise ValueError(f'there is no tag "{tag}": they are {", ".join(TAGS)}')
        if self.exit_code == ExitCode.OK:
            self._complain("expected a failure")
        tagged = [failure for failure in self.failures if failure.tag == tag and label in ("", failure.label)]
        if not any(re.search(match, failure.text) for failure in tagged):
            where = f" of {label}" if label else ""
            told = "".join(f"\n    {failure.tag} {failure.label}: {failure.text}" for failure in self.failures)
            self._complain(
                f"expected a failure{where} tagged {tag!r} that matches {match!r}; told was:{told or ' nothing'}"
            )
        return self

    # Inside

    def _of(self, kind: str) -> Iterator[dict[str, Any]]:
        return (event for event in self.events if event["event"] == kind)

    def _actions(self, wanted: Callable[[dict[str, Any]], bool]) -> tuple[str, ...]:
        found = (event for event in self._of("action_finished") if wanted(event))
        return tuple(sorted(f"{event['mnemonic']} {event['label']}" for event in found))

    def _failures(self) -> Iterator[Failure]:
        passed = {_part(event) for event in self._of("test_finished") if event["status"] == "passed"}
        for event in self.events:
            kind = event["event"]
            if kind == "action_finished" and event["status"] != "ok" and event["mnemonic"] != _LAUNCH_MNEMONIC:
                yield Failure(event["status"], event["label"], _said(event))
            elif kind == "test_finished" and _part(event) not in passed:
                yield Failure("test", event["label"], f"{event['status']}: {_said(event)}")
            elif kind == "error":
                place = f"{event['file']}:{event['line']}: " if event["file"] else ""
                tag = "isolation" if self.exit_code == ExitCode.ISOLATION else "error"
                yield Failure(tag, "", f"{place}{_said(event)}")
        if self.exit_code != ExitCode.OK and not any(event["event"] == "build_finished" for event in self.events):
            yield Failure("error", "", self.stderr)  # it ended before there was a build to tell of

    def _complain(self, what: str) -> NoReturn:
        __tracebackhide__ = True
        raise AssertionError(f"{what}\n{self}")

    def __repr__(self) -> str:
        """The whole story, for whoever reads why a test failed."""
        lines = [f"$ {' '.join(self.command)}", f"exit code {self.exit_code}"]
        for name, values in (("ran", self.ran), ("cached", self.cached), ("failed", self.failed)):
            lines += [f"{name}: {', '.join(values)}"] if values else []
        if self.tests:
            lines.append("tests: " + ", ".join(f"{label} {status}" for label, status in sorted(self.tests.items())))
        for name, text in (("standard output", self.stdout), ("standard error", self.stderr)):
            if text:
                lines += [f"--- {name}", _shortened(text.rstrip("\n"))]
        return "\n".join(lines)

    __str__ = __repr__


def _part(test_finished: dict[str, Any]) -> tuple[str, int, int]:
    """What is attempted again where it failed: one shard of one run of a test."""
    return test_finished["label"], test_finished["run"], test_finished["shard"]


def _said(event: dict[str, Any]) -> str:
    """The message of an event with its hint, and what the action printed."""
    parts = [event.get("message", ""), event.get("hint", "")]
    if event.get("log"):
        try:
            with open(event["log"], "rb") as file:
                parts.append(file.read(_LOG_BYTES).decode(errors="replace"))
        except OSError as error:
            parts.append(f"[its log cannot be read: {error.strerror}]")
    return "\n".join(part for part in parts if part)


def _names(name: str, actions: tuple[str, ...]) -> bool:
    return name in actions or any(action.partition(" ")[2] == name for action in actions)


def _match(ran: tuple[str, ...], expected: tuple[str, ...]) -> bool:
    """Whether what ran is what `expected` says: actions one by one, and labels for all of a target's."""
    labels = {name for name in expected if " " not in name}
    rest = sorted(name for name in ran if name.partition(" ")[2] not in labels)
    return rest == sorted(name for name in expected if " " in name) and all(_names(label, ran) for label in labels)


def _shortened(text: str) -> str:
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    half = _SHOWN_CHARACTERS // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters ...]\n{text[-half:]}"
