"""Everything that a person or a program learns of a build: one ordered stream of frozen values.

In JSON each event is an object with `event`, `time_s` (seconds since the build started) and the event's own fields.
"""

from typing import Protocol

import msgspec

from bldr.api.sandbox import Isolation, Usage, Verdict


def _snake_case(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=_snake_case):
    """What happened, and when."""

    time_s: float = 0.0


class BuildStarted(Event, frozen=True, kw_only=True):
    """`command` is build, test or run; `isolation` is require, best or none; `sandbox` names the platform.

    `workspace` is the workspace's name and `root` its directory on this machine.
    """

    command: str
    workspace: str
    patterns: tuple[str, ...]
    isolation: str
    sandbox: str
    jobs: int
    root: str = ""


class TargetAnalyzed(Event, frozen=True, kw_only=True):
    label: str
    actions: int


class AnalysisFinished(Event, frozen=True, kw_only=True):
    """What lies ahead: every action that the request needs, before it is known which of them must run."""

    targets: int
    actions: int
    tests: int


class ActionStarted(Event, frozen=True, kw_only=True):
    """An action that must run got a slot. `reason` is why it was not served from the cache."""

    action_id: int
    label: str
    mnemonic: str
    message: str
    reason: str


class ActionFinished(Event, frozen=True, kw_only=True):
    """An action has its result. `cached`: nothing ran. `log` is the path of its raw output ("" where there was none).

    `status` is ok, failed (the command said no), violated (outputs or inputs not as declared), killed (a limit),
    setup (the sandbox could not be made) or interrupted. `message` explains every status but ok. `again`: a test that
    failed and is tried once more; `attempt` counts from 1.
    """

    action_id: int
    label: str
    mnemonic: str
    cached: bool
    status: str
    exit_code: int
    duration_s: float
    isolation: Isolation
    limits: dict[str, float]
    usage: Usage
    verdict: Verdict | None = None
    message: str = ""
    hint: str = ""
    log: str = ""
    command: tuple[str, ...] = ()
    started_s: float = 0.0
    remaining: int = 0  # actions that still wait or run
    attempt: int = 1
    again: bool = False


class TestOutput(Event, frozen=True, kw_only=True):
    """What a running test has just printed, made safe to show; only where somebody asked to see it at once."""

    __test__ = False

    label: str
    text: str


class TestFinished(Event, frozen=True, kw_only=True):
    """One attempt at one shard of one run of a test: all of them count from 1, and `shard` is 0 where there are none.

    `status` is passed, failed, timeout or not_run; `attempts` is how many there were. `log`, `xml` (its own JUnit
    file) and `outputs` (its undeclared outputs, a directory) are paths, "" where it left none.
    """

    __test__ = False

    label: str
    status: str
    cached: bool
    duration_s: float
    run: int
    runs: int
    shard: int = 0
    shards: int = 0
    attempt: int = 1
    attempts: int = 1
    log: str = ""
    xml: str = ""
    outputs: str = ""
    message: str = ""


class TestSummary(Event, frozen=True, kw_only=True):
    """What came of a test as a whole, after all its `test_finished`.

    `status` is passed, flaky (passed, but not at the first attempt), failed, timeout, not_run or not_built. `total`
    counts what was to be done and `failed` what of it failed: attempts where one was repeated, else runs and shards.
    """

    __test__ = False

    label: str
    status: str
    cached: bool
    duration_s: float
    runs: int = 1
    shards: int = 0
    total: int = 1
    failed: int = 0
    logs: tuple[str, ...] = ()  # of what failed
    message: str = ""


class TargetFinished(Event, frozen=True, kw_only=True):
    """A requested target is there (or not). `outputs` are paths below the workspace."""

    label: str
    success: bool
    outputs: tuple[str, ...]


class Warning(Event, frozen=True, kw_only=True):
    """Something that a person should know although the build goes on. `kind`: isolation, cache, ..."""

    kind: str
    message: str
    hint: str = ""
    file: str = ""
    line: int = 0


class Error(Event, frozen=True, kw_only=True):
    """Why the build as a whole cannot go on; with the place, where there is one."""

    message: str
    hint: str = ""
    file: str = ""
    line: int = 0
    column: int = 0


class BuildFinished(Event, frozen=True, kw_only=True):
    """`ran`, `cached` and `failed` count actions; `exit_code` is what the process returns.

    Of `failed`, `runs_failed` are runs of tests. `tests_flaky` are among `tests_passed`.
    """

    success: bool
    exit_code: int
    ran: int
    cached: int
    failed: int
    tests_passed: int = 0
    tests_failed: int = 0
    tests_flaky: int = 0
    tests_not_run: int = 0
    runs_failed: int = 0
    duration_s: float = 0.0


class Listener(Protocol):
    """Follows one build. Registered by the hook `bldr_listeners`, or made by the command line's options.

    A listener may have an attribute `kinds`, a collection of types of events: it is told of no others then, and what
    nobody wants is not made. Builds have several events for every target.
    """

    def on_event(self, event: Event) -> None:
        """Called in order, in the engine's thread: must not block. An exception switches the listener off, by name."""

    def close(self) -> None:
        """No event follows."""
