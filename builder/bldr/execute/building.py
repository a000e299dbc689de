"""The running of one plan: sets the runners up, counts, and turns outcomes into events and files."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from bldr.api.actions import Artifact, Platform
from bldr.api.errors import CacheError, ExitCode
from bldr.api.events import ActionFinished, ActionStarted, BuildFinished, TargetFinished, TestFinished
from bldr.api.labels import Label
from bldr.api.providers import Executable
from bldr.execute.history import History
from bldr.execute.loop import Loop
from bldr.execute.materialize import OUTPUT_DIRECTORY, Outputs
from bldr.execute.platforms import Platforms
from bldr.execute.records import save_record
from bldr.execute.result import ActionResult
from bldr.execute.runners import Cached, Limited, Outcome, Work
from bldr.execute.sandboxed import Sandboxed
from bldr.execute.slots import Slots, available_memory_bytes
from bldr.execute.sources import Sources
from bldr.execute.sysroot import Sysroots
from bldr.graph.actions import ActionGraph, ActionNode
from bldr.graph.analysis import requested_files
from bldr.graph.missing import missing_input_hint
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
    that is needed for it, in order."""

    graph: ActionGraph
    labels: tuple[Label, ...]
    tests: dict[Label, list[ActionNode]]
    nodes: Sequence[ActionNode]


class BuildOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `outputs` are paths below the workspace by label, `executable` the program of the last label."""

    exit_code: int
    ran: int
    cached: int
    failed: int
    outputs: dict[Label, tuple[str, ...]]
    executable: str = ""


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
        reuse_tests: bool,
        materialize: Materialize = "top",
    ) -> None:
        self._plan = plan
        self._materialize = materialize
        self._root = workspace.root
        self._workspace = workspace
        self._targets = targets
        self._store = store
        self._platforms = platforms
        self._events = events
        self._outputs = Outputs(store, workspace.root)
        self._history = History(store, workspace.root)
        self._started_s: dict[int, float] = {}
        self._complete: dict[Label, bool] = {}
        self._ran = self._cached = self._failed = 0
        self._isolation_missed = False
        sources = Sources(workspace, store)
        sources.prepare(_sources_of(plan.nodes))
        self._sandboxed = Sandboxed(
            store, sources, Sysroots(store), platforms.choose, platforms.missing, self._on_started
        )
        needs = self._history.needs
        slots = Slots(jobs, available_memory_bytes() if needs else 0)
        limited = Limited(self._sandboxed, slots, remaining_path_s(plan.nodes, self._history.durations_s), needs)
        cached = Cached(limited, store, self._history, platform, platforms.floor, reuse_tests=reuse_tests)
        self._loop = Loop(
            plan.graph,
            plan.nodes,
            sources,
            (cached, limited, self._sandboxed),
            self._on_finished,
            events.tick,
            keep_going=keep_going,
        )
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
            self._history.save()
            self._platforms.close()
            self._sandboxed.close()
            self._store.flush()
        outputs, executable = self._write_outputs()
        passed, failed_tests = self._tell_tests()
        exit_code = self._exit_code(failed_tests, no_tests=is_test and not self._plan.tests)
        self._events.emit(
            BuildFinished(
                success=exit_code == ExitCode.OK,
                exit_code=exit_code,
                ran=self._ran,
                cached=self._cached,
                failed=self._failed,
                tests_passed=passed,
                tests_failed=failed_tests,
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
                message=node.action.message,
                reason=work.reason,
            )
        )

    def _on_finished(self, work: Work, outcome: Outcome, remaining: int) -> None:
        node, result = work.node, self._with_hint(work, outcome.result)
        if outcome.cached:
            self._cached += 1
        else:
            self._ran += 1
            save_record(self._store, self._root, work, result)
        self._failed += not result.is_ok and result.status != "interrupted"
        self._isolation_missed |= result.status == "isolation"
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
                started_s=self._started_s.get(node.index, 0.0),
                remaining=remaining,
            )
        )

    def _with_hint(self, work: Work, result: ActionResult) -> ActionResult:
        """A command that failed may have wanted a file that is there, but not declared."""
        if result.status != "failed" or result.log is None:
            return result
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
        written: dict[Label, tuple[str, ...]] = {}
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
            written[label] = tuple(f"{OUTPUT_DIRECTORY}/{artifact.path}" for artifact in ready) if is_written else ()
            program = analyzed.providers.get(Executable)
            if is_written and isinstance(program, Executable) and program.program.path in entries:
                executable = self._outputs.path(program.program.path)
        if is_written:
            wanted.update((output.path, output) for output in self._made_besides() if entries.get(output.path))
            self._outputs.write((artifact, entries[path]) for path, artifact in wanted.items())
        self._store.flush()
        if self._events.wants(TargetFinished):
            for label, paths in written.items():
                self._events.emit(TargetFinished(label=str(label), success=self._complete[label], outputs=paths))
        return written, executable

    def _made_besides(self) -> Iterator[Artifact]:
        """What is to be written although it is no output of what was asked for."""
        runs = (node for nodes in self._plan.tests.values() for node in nodes)
        for node in self._plan.nodes if self._materialize == "all" else runs:
            yield from node.action.outputs

    def _tell_tests(self) -> tuple[int, int]:
        """One event for every run of every test; returns how many runs passed and failed."""
        passed = failed = 0
        for label, nodes in self._plan.tests.items():
            for node in nodes:
                outcome = self._loop.outcomes.get(node.index)
                status = _test_status(outcome)
                passed += status == "passed"
                failed += status in ("failed", "timeout")
                if status == "not_run":
                    self._complete[label] = False
                xml = node.action.outputs[0].path
                result = outcome.result if outcome else None
                self._events.emit(
                    TestFinished(
                        label=str(label),
                        status=status,
                        cached=outcome.cached if outcome else False,
                        duration_s=result.duration_s if result else 0.0,
                        run=node.test_run,
                        runs=len(nodes),
                        log=self._log_path(result) if result else "",
                        xml=self._outputs.path(xml) if self._is_written(xml) else "",
                        message=result.message if result else self._why_not_run(node),
                    )
                )
        return passed, failed

    def _is_written(self, path: str) -> bool:
        return self._materialize != "none" and bool(self._loop.entries.get(path))

    def _why_not_run(self, node: ActionNode) -> str:
        for needed in self._plan.graph.needed(node.deps):
            outcome = self._loop.outcomes.get(needed.index)
            if outcome is not None and not outcome.result.is_ok:
                return f'"{needed.label}", which it needs, was not built'
        return "interrupted" if self._loop.interrupted else "the build stopped at a failure before it: -k goes on"


def _test_status(outcome: Outcome | None) -> str:
    if outcome is None or outcome.result.status in ("setup", "isolation", "interrupted"):
        return "not_run"
    result = outcome.result
    if result.is_ok:
        return "passed"
    return "timeout" if result.verdict is not None and result.verdict.limit == "wall-time" else "failed"


def _sources_of(nodes: Sequence[ActionNode]) -> list[str]:
    found = (
        artifact.path for node in nodes for artifact in (*node.action.inputs, *node.action.tools) if artifact.is_source
    )
    return list(dict.fromkeys(found))
