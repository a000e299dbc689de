"""The running of one plan: sets the runners up, counts, and turns outcomes into events and files."""

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Literal

import msgspec

from bldr.api.actions import Artifact, Platform
from bldr.api.errors import CacheError, ExitCode
from bldr.api.events import ActionFinished, ActionStarted, BuildFinished, TargetFinished
from bldr.api.labels import Label
from bldr.api.providers import Executable
from bldr.execute.attempts import Attempts
from bldr.execute.following import Following
from bldr.execute.gradual import Gradual
from bldr.execute.history import History
from bldr.execute.loop import Loop
from bldr.execute.machine import available_memory_bytes
from bldr.execute.materialize import OUTPUT_DIRECTORY, Outputs, memory_of
from bldr.execute.platforms import Platforms
from bldr.execute.records import save_parts, save_record
from bldr.execute.result import ActionResult
from bldr.execute.runners import Cached, Limited, Outcome, Work
from bldr.execute.sandboxed import Sandboxed
from bldr.execute.slots import Slots
from bldr.execute.sources import Sources
from bldr.execute.sysroot import Sysroots
from bldr.execute.tests import Counts, Tests, count, summary_of
from bldr.graph.actions import ActionGraph, ActionNode, blocked, requested_files
from bldr.graph.test_parts import Reuse, test_directory, why_not_reused
from bldr.plan.entries import Entry
from bldr.plan.schedule import remaining_path_s
from bldr.report.stream import EventStream
from bldr.store.store import Store

if TYPE_CHECKING:
    from bldr.graph.targets import TargetGraph
    from bldr.load.workspace import Workspace

_LOG_SEARCHED_BYTES = 1 << 16


Materialize = Literal["all", "top", "none"]
"""Whose outputs are written into the workspace: those of every target that is needed, of those asked for, of none."""


class Plan(msgspec.Struct, frozen=True):
    """The analysed request: the action graph, the labels asked for, the runs of each test among them, and every node
    that is needed for it, in order. `directory` is where the outputs go, below the workspace."""

    graph: ActionGraph
    labels: tuple[Label, ...]
    tests: dict[Label, list[ActionNode]]
    nodes: Sequence[ActionNode]
    directory: str = OUTPUT_DIRECTORY


class BuildOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `outputs` are paths below the workspace by label, `executable` the program of the last label.

    `is_repeatable`: if nothing changes, nothing would run.
    """

    exit_code: int
    ran: int
    cached: int
    failed: int
    outputs: dict[Label, tuple[str, ...]]
    executable: str = ""
    is_repeatable: bool = True


class Building:
    """One plan, run once."""

    def __init__(
        self,
        plan: Plan,
        workspace: "Workspace",
        targets: "TargetGraph",
        store: Store,
        platforms: Platforms,
        platform: Platform,
        events: EventStream,
        *,
        jobs: int,
        keep_going: bool,
        reuse_tests: Reuse = "yes",
        materialize: Materialize = "top",
        follow_tests: bool = False,
    ) -> None:
        self._plan = plan
        self._materialize = materialize
        self._root = workspace.root
        self._memory = memory_of(workspace.root, plan.directory)
        self._workspace = workspace
        self._targets = targets
        self._store = store
        self._platforms = platforms
        self._events = events
        self._outputs = Outputs(store, workspace.root, plan.directory)
        self._history = History(store, self._memory)
        self._started_s: dict[int, float] = {}
        self._complete: dict[Label, bool] = {}
        self._blocked: dict[int, int] = {}
        self._reuse_tests: Reuse = reuse_tests
        self._following = Following(events.emit) if follow_tests else None
        self._ran = self._cached = self._failed = 0
        self._is_repeatable = True
        self._isolation_missed = False
        sources = Sources(workspace, store)
        sources.prepare(_sources_of(plan.nodes))
        opened = self._following.begin if self._following else None
        self._sandboxed = Sandboxed(
            store, sources, Sysroots(store), platforms.choose, platforms.missing, self._on_started, opened, places=jobs
        )
        needs = self._history.needs
        slots = Slots(jobs, available_memory_bytes() if needs else 0)
        urgency = remaining_path_s(plan.nodes, self._history.durations_s, sources.size_bytes)
        limited = Limited(self._sandboxed, slots, urgency, needs)
        self._sandboxed.released = limited.release
        attempts = Attempts(limited, self._on_failed_attempt, self._on_ended_attempt)
        cached = Cached(attempts, store, self._history, platform, platforms.floor, reuse_tests=reuse_tests)
        self._loop = Loop(
            plan.graph,
            plan.nodes,
            sources,
            (cached, limited, self._sandboxed),
            self._on_finished,
            self._tick,
            self._write_some,
            keep_going=keep_going,
        )
        self._gradual = Gradual(self._outputs, self._asked_for() if materialize != "none" else ())
        platforms.on_open(self._loop.add_launcher, events)

    @property
    def entries(self) -> Mapping[str, Sequence[Entry]]:
        """What stands at every path that was needed or made."""
        return self._loop.entries

    def run(self, *, is_test: bool) -> BuildOutcome:
        """Do everything, write the outputs, tell how it ended."""
        try:
            self._loop.run()
        finally:
            self._history.close()
            self._platforms.close()
            self._sandboxed.close()
            if self._following:
                self._following.close()
            self._store.flush()
        self._tests = Tests(self._plan.tests, self._loop.outcomes, self._store)
        outputs, executable = self._write_outputs()
        counts = self._tell_tests()
        exit_code = self._exit_code(counts.failed, no_tests=is_test and not self._plan.tests)
        self._events.emit(
            BuildFinished(
                success=exit_code == ExitCode.OK,
                exit_code=exit_code,
                ran=self._ran,
                cached=self._cached,
                failed=self._failed,
                tests_passed=counts.passed,
                tests_failed=counts.failed,
                tests_flaky=counts.flaky,
                tests_not_run=counts.not_run,
                runs_failed=counts.runs_failed,
                duration_s=round(self._events.now_s(), 6),
            )
        )
        return BuildOutcome(
            exit_code=exit_code,
            ran=self._ran,
            cached=self._cached,
            failed=self._failed,
            outputs=outputs,
            executable=executable,
            is_repeatable=self._is_repeatable,
        )

    def _exit_code(self, failed_tests: int, *, no_tests: bool) -> int:
        if self._loop.interrupted:
            return ExitCode.INTERRUPTED
        if self._isolation_missed:
            return ExitCode.ISOLATION
        if not all(self._complete.values()):
            return ExitCode.BUILD_FAILED
        if failed_tests:
            return ExitCode.TESTS_FAILED
        return ExitCode.NO_TESTS if no_tests else ExitCode.OK

    # Events

    def _on_started(self, work: Work) -> None:
        node = work.node
        self._started_s[node.index] = self._events.now_s()
        self._events.emit(
            ActionStarted(
                action_id=node.index,
                label=str(node.label),
                mnemonic=node.action.mnemonic,
                message=node.action.message + (f" (attempt {work.attempt})" if work.attempt > 1 else ""),
                reason=work.reason,
            )
        )

    def _on_failed_attempt(self, work: Work, result: ActionResult) -> None:
        """The test is tried again, and this is told as what it is."""
        self._ran += 1
        self._emit_finished(work, Outcome(result, cached=False), self._loop.unfinished, again=True)

    def _on_ended_attempt(self, work: Work) -> None:
        if self._following:
            self._following.end(work)

    def _tick(self) -> None:
        if self._following:
            self._following.tick()
        self._events.tick()

    def _on_finished(self, work: Work, outcome: Outcome, remaining: int) -> None:
        result = self._with_hint(work, outcome.result)
        if result is not outcome.result:
            outcome = msgspec.structs.replace(outcome, result=result)
        if result.is_ok:
            self._gradual.made(work.node.action.outputs)
        if outcome.cached:
            self._cached += 1
        else:
            self._ran += 1
            save_record(self._store, self._memory, work, outcome)
        if outcome.earlier or why_not_reused(work.node, self._reuse_tests):
            self._is_repeatable = False
        self._failed += not result.is_ok and result.status != "interrupted"
        self._isolation_missed |= result.status == "isolation"
        self._emit_finished(work, outcome, remaining)

    def _emit_finished(self, work: Work, outcome: Outcome, remaining: int, *, again: bool = False) -> None:
        node, result = work.node, outcome.result
        self._events.emit(
            ActionFinished(
                action_id=node.index,
                label=str(node.label),
                mnemonic=node.action.mnemonic,
                cached=outcome.cached,
                status=result.status,
                exit_code=result.exit_code,
                duration_s=result.duration_s,
                isolation=result.isolation,
                limits=result.limits,
                usage=result.usage,
                verdict=result.verdict,
                message=result.message,
                hint=result.hint,
                log=self._log_path(result),
                command=node.action.argv,
                started_s=self._started_s.pop(node.index, 0.0),
                remaining=remaining,
                attempt=work.attempt if again else len(outcome.earlier) + 1,
                again=again,
            )
        )

    def _with_hint(self, work: Work, result: ActionResult) -> ActionResult:
        """A command that failed may have wanted a file that is there, but not declared."""
        if result.status != "failed" or result.log is None:
            return result
        from bldr.graph.missing import missing_input_hint  # for failures alone

        log = self._store.blobs.read(result.log)[-_LOG_SEARCHED_BYTES:].decode(errors="replace")
        declared = [entry.path for entry in work.inputs]
        hint = missing_input_hint(self._targets, work.node.label, log, declared, self._owner_of_output, self._is_source)
        return msgspec.structs.replace(result, hint=hint) if hint else result

    def _owner_of_output(self, path: str) -> Label | None:
        node = self._plan.graph.owner(path)
        return node.label if node else None

    def _is_source(self, path: str) -> bool:
        return os.path.isfile(self._workspace.host_path(path))

    def _log_path(self, result: ActionResult) -> str:
        try:
            return self._store.blobs.path(result.log) if result.log else ""
        except CacheError:
            return ""  # the log of a cached result was lost: the result still is what it is

    # What people get

    def _write_outputs(self) -> tuple[dict[Label, tuple[str, ...]], str]:
        paths: dict[Label, tuple[str, ...]] = {}
        executable = ""
        entries = self._loop.entries
        wanted: dict[str, Artifact] = {}
        is_written = self._materialize != "none"
        for label in self._plan.labels:
            analyzed = self._plan.graph.targets[label]
            files = requested_files(analyzed)
            ready = [artifact for artifact in files if artifact.path in entries]
            wanted.update((artifact.path, artifact) for artifact in ready)
            self._complete[label] = len(ready) == len(files)
            paths[label] = tuple(f"{self._plan.directory}/{artifact.path}" for artifact in ready) if is_written else ()
            program = analyzed.providers.get(Executable)
            if is_written and isinstance(program, Executable) and program.program.path in entries:
                executable = self._outputs.path(program.program.path)
        if is_written:
            wanted.update((output.path, output) for output in self._made_besides() if entries.get(output.path))
            for label, left in self._tests.files().items():
                directory = test_directory(label)
                entries[directory] = left
                wanted[directory] = Artifact(directory, label, is_directory=True)
            self._outputs.write((artifact, entries[artifact.path]) for artifact in self._gradual.left(wanted))
        self._store.flush()
        if self._events.wants(TargetFinished):
            for label, outputs in paths.items():
                self._events.emit(TargetFinished(label=str(label), success=self._complete[label], outputs=outputs))
        return paths, executable

    def _asked_for(self) -> Iterator[Artifact]:
        """The files of the targets that were asked for, and of all that is needed where that is wanted."""
        seen: set[str] = set()
        for artifact in chain(*(requested_files(self._plan.graph.targets[label]) for label in self._plan.labels),
                              self._made_besides()):  # fmt: skip
            if artifact.path not in seen:
                seen.add(artifact.path)
                yield artifact

    def _write_some(self) -> bool:
        return self._gradual.write_some(self._loop.entries)

    def _made_besides(self) -> Iterator[Artifact]:
        """What is to be written although it is no output of what was asked for; what tests leave is looked at apart."""
        if self._materialize == "all":
            for node in self._plan.nodes:
                if node.test is None:
                    yield from node.action.outputs

    def _tell_tests(self) -> Counts:
        """One event for every attempt at every part of every test, and then one for the test."""
        failed = {index for index, outcome in self._loop.outcomes.items() if not outcome.result.is_ok}
        self._blocked = blocked(self._plan.nodes, failed)
        summaries, finished = [], []
        for label, nodes in self._plan.tests.items():
            attempts = self._tests.finished(label, self._written, self._why_not_run)
            for event in attempts:
                self._events.emit(event)
            if any(node.index in self._loop.outcomes for node in nodes):
                save_parts(self._store, self._memory, str(label), [node.name for node in nodes])
            all_ran = all(event.status != "not_run" for event in attempts)
            self._complete[label] &= all_ran
            is_built = all_ran or not any(node.index in self._blocked for node in nodes)
            summary = summary_of(attempts, is_built=is_built)
            self._events.emit(summary)
            summaries.append(summary)
            finished += attempts
        return count(summaries, finished)

    def _written(self, tree_path: str) -> str:
        """Where a file of a test stands in the folder of outputs; "" where nothing is written there."""
        return self._outputs.path(tree_path) if self._materialize != "none" else ""

    def _why_not_run(self, node: ActionNode) -> str:
        broken = self._blocked.get(node.index)
        if broken is not None:
            return f'"{self._plan.graph.nodes[broken].label}", which it needs, was not built'
        return "interrupted" if self._loop.interrupted else "the build stopped at a failure before it: -k goes on"


def _sources_of(nodes: Sequence[ActionNode]) -> list[str]:
    found = (
        artifact.path for node in nodes for artifact in (*node.action.inputs, *node.action.tools) if artifact.is_source
    )
    return list(dict.fromkeys(found))
