"""One build from start to end: the file to read first.

Builderfiles --load--> targets --graph--> actions --plan--> keys --execute--> results --store--> events --report
"""

import contextlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec

from bldr.api.actions import Platform
from bldr.api.attributes import HermeticSettings, TestAttributes
from bldr.api.configuration import Configuration
from bldr.api.errors import BldrError, WorkspaceError
from bldr.api.events import AnalysisFinished, BuildFinished, BuildStarted, Error, Listener, TargetAnalyzed
from bldr.api.events import Warning as WarningEvent
from bldr.api.labels import Label
from bldr.api.providers import TestInfo
from bldr.api.toolchains import Toolchain
from bldr.execute.building import Building, BuildOutcome, Materialize, Plan
from bldr.execute.machine import processors
from bldr.execute.materialize import clean_outputs, memory_of, output_directory
from bldr.execute.permissions import merge_permissions, test_permissions
from bldr.execute.platforms import Platforms
from bldr.execute.workspace_lock import WAITING, workspace_lock
from bldr.graph.actions import ActionNode, requested_files
from bldr.graph.analysis import Analyzer
from bldr.graph.patterns import expand_patterns, repositories_of
from bldr.graph.pinned import pinned_toolchain
from bldr.graph.suites import without_suites
from bldr.graph.targets import TargetGraph, build_target_graph
from bldr.graph.tests import TestOptions, add_test_runs, is_wanted
from bldr.graph.toolchains import HostToolchains
from bldr.guard import Guard
from bldr.hermetic.policy import Mode
from bldr.load.bringing import Bringing
from bldr.load.configurations import choose
from bldr.load.workspace import Workspace, find_root, load_workspace
from bldr.plugins import Registry, load_plugins
from bldr.report.stream import EventStream
from bldr.snapshot.files import forget_all
from bldr.snapshot.wanted import Heard, Wanted
from bldr.store.store import Store, open_store

if TYPE_CHECKING:
    from bldr.store.gc import GcReport

__all__ = ["BuildOutcome", "BuildRequest", "Session"]


class BuildRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks for. `limits` are those of the command line and the environment, set on purpose; `snapshot`
    is where to keep what the build knew, for one like it to find."""

    command: str = "build"
    patterns: tuple[str, ...] = ()
    directory: str = "."
    cache_dir: str | None = None
    jobs: int | None = None
    keep_going: bool = False
    isolation: Mode = "best"
    limits: HermeticSettings = HermeticSettings()
    offline: bool = False
    tests: TestOptions = TestOptions()
    run_args: tuple[str, ...] = ()
    materialize: Materialize = "top"
    config: str = ""
    snapshot: Wanted | None = None


class Session:
    """An open workspace, its store and its listeners. Used as a context manager, by one thread."""

    def __init__(self, request: BuildRequest, listeners: Sequence[Listener] = ()) -> None:
        self.request = request
        self.directory = os.path.realpath(request.directory)
        self.registry: Registry = load_plugins(tolerant=True) if request.command == "doctor" else load_plugins()
        made = self.registry.make_listeners()
        self._heard = Heard()
        self._is_followed = bool(made)  # by listeners of plugins, who want to hear of every build
        self.events = EventStream([*listeners, *made, self._heard], origins=self.registry.listener_origins)
        self.store: Store = open_store(request.cache_dir or default_cache_dir(os.environ))
        self.platforms = Platforms(self.registry.sandboxes, request.isolation, self.store.root, self.store.memo)
        self.toolchains = HostToolchains(self.registry, self.store, os.environ, self._pinned)
        self.platform = host_platform()
        self._guard = Guard()  # of the analysis that runs
        self._root = ""
        self._workspace: Workspace | None = None
        self._graph: TargetGraph | None = None
        self._bringing: Bringing | None = None
        self._repositories: set[str] = set()  # external sources that patterns named: all their targets are in the graph

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.platforms.close()
        self.events.close()
        self.store.close()

    # What the request means

    @property
    def root(self) -> str:
        """The workspace's directory. Raises WorkspaceError where the user stands in none."""
        if not self._root:
            self._root = find_root(self.directory)
        return self._root

    @property
    def jobs(self) -> int:
        """How many actions may run at once."""
        return self.request.jobs or processors()

    @property
    def workspace(self) -> Workspace:
        """The parsed workspace. Raises WorkspaceError with every mistake in it."""
        if self._workspace is None:
            self._workspace = load_workspace(self.root, self.registry, external=self.bringing, parsed=self.store.memo)
        return self._workspace

    @property
    def configuration(self) -> Configuration:
        """What the targets are to be made into. Raises BldrError for a name that the workspace does not have."""
        return choose(self.request.config, self.workspace.configurations)

    @property
    def memory(self) -> str:
        """By what records and durations of the workspace and its configuration are told apart from others."""
        return memory_of(self.root, output_directory(self.configuration.name))

    @property
    def graph(self) -> TargetGraph:
        """The resolved targets."""
        if self._graph is None:
            self._graph = build_target_graph(self.workspace, sorted(self._repositories))
        return self._graph

    @property
    def package(self) -> str:
        """The package in which the user stands."""
        inside = os.path.relpath(self.directory, self.root)
        return "" if inside == "." else inside.replace(os.sep, "/")

    def labels(self, patterns: Sequence[str] | None = None) -> tuple[Label, ...]:
        """What patterns (or those of the request) name; of suites, the tests that they stand for."""
        patterns = self.request.patterns if patterns is None else patterns
        self.include(repositories_of(patterns))
        return without_suites(self.graph, expand_patterns(self.graph, patterns, self.package))

    def include(self, repositories: set[str]) -> None:
        """From here on all targets of these external sources are in the graph, not only those that others name."""
        if not repositories <= self._repositories:
            self._repositories |= repositories
            self._graph = None

    def plan(self, labels: Sequence[Label], *, tests: bool) -> Plan:
        """Analyse `labels`; with `tests`, the runs of the tests among them belong to the plan."""
        env = dict(os.environ)
        self._guard = Guard()
        analyzer = Analyzer(
            self.graph,
            self.registry,
            self.platform,
            self.toolchains,
            lambda target: merge_permissions(target, self.request.limits),
            lambda path: os.path.lexists(self.workspace.host_path(path)),
            env,
            self.configuration,
            [output_directory(name).rpartition("/")[2].casefold() for name in self.workspace.configurations],
            self._guard,
        )
        options = self.request.tests
        if tests and options.build_tests_only:
            labels = [label for label in labels if self._is_wanted_test(label)]
        actions = analyzer.analyze(labels)
        for who, text in self._guard.printed.items():
            self._warn("plugin", f"{who} printed to standard output: {text}", "handlers print nothing: report it")
        runs: dict[Label, list[ActionNode]] = {}
        wanted: list[int] = []
        for label in labels:
            target = self.graph.target(label)
            wanted.extend(actions.producers(requested_files(actions.targets[label])))
            if tests and TestInfo in actions.targets[label].providers and self._is_wanted_test(label):
                runs[label] = add_test_runs(
                    actions,
                    target,
                    self.toolchains,
                    test_permissions(target, self.request.limits, options.timeouts),
                    env,
                    self.registry.handlers[target.handler_key].identity,
                    options,
                )
                wanted.extend(node.index for node in runs[label])
        return Plan(actions, tuple(labels), runs, actions.needed(wanted), output_directory(self.configuration.name))

    def _is_wanted_test(self, label: Label) -> bool:
        attributes = self.graph.target(label).attributes
        return isinstance(attributes, TestAttributes) and is_wanted(attributes, self.request.tests)

    # Tidying

    def clean(self) -> None:
        """Remove the outputs in the workspace; the cache stays."""
        with workspace_lock(self.root, self._waiting):
            # Builderfiles with mistakes are no reason to keep outputs: they are read for a configuration's name alone
            clean_outputs(self.root, self.configuration.name if self.request.config else "")

    def gc(self, max_size_bytes: int | None = None, max_age_s: float | None = None) -> "GcReport":
        """Shrink the cache. What was taken is to be missed by the next build, so snapshots go too."""
        forget_all(os.path.dirname(self.store.root))
        return self.store.gc(max_size_bytes, max_age_s)

    # Building

    def build(self) -> BuildOutcome:
        """Do what the request says. Errors of people are told as events and raised."""
        try:
            with workspace_lock(self.root, self._waiting):
                return self._build()
        except BldrError as error:
            self._tell(error)
            raise

    def _build(self) -> BuildOutcome:
        request = self.request
        loaded_ns = time.time_ns()
        self.events.emit(
            BuildStarted(
                command=request.command,
                workspace=self.workspace.name,
                root=self.root,
                patterns=request.patterns,
                isolation=request.isolation,
                sandbox=self.platforms.name,
                jobs=self.jobs,
            )
        )
        self.platforms.prepare()
        for broken in self.registry.broken:
            self._warn("plugin", f"{broken} could not be loaded: {broken.reason}", "bldr doctor lists the plugins")
        for note in self.registry.notes:
            self._warn("plugin", note)
        labels = self.labels()
        if request.command == "run" and len(labels) != 1:
            names = ", ".join(str(label) for label in labels[:5])
            raise BldrError(f"one target can be run, and these are {len(labels)}: {names}", "name one of them")
        plan = self.plan(labels, tests=request.command == "test")
        self.platforms.check(plan.nodes, self.graph)
        if request.command == "test" and not plan.tests:
            hint = "the filters of the command line may leave none" if request.tests.tags or request.tests.sizes else ""
            hint = hint or "bldr query 'tests(//...)' lists them"
            self._warn("tests", "no test is among what was asked for", hint)
        if self.events.wants(TargetAnalyzed):
            for label, analyzed in plan.graph.targets.items():
                self.events.emit(TargetAnalyzed(label=str(label), actions=analyzed.actions))
        tests = sum(map(len, plan.tests.values()))
        self.events.emit(AnalysisFinished(targets=len(plan.labels), actions=len(plan.nodes), tests=tests))
        self.platforms.open_early(plan.nodes)
        building = Building(
            plan,
            self.workspace,
            self.graph,
            self.store,
            self.platforms,
            self.platform,
            self.events,
            jobs=self.jobs,
            keep_going=request.keep_going,
            reuse_tests=request.tests.reuse,
            materialize=request.materialize,
            follow_tests=request.tests.alone,
        )
        outcome = building.run(is_test=request.command == "test")
        if request.snapshot is not None and not self._is_followed and request.materialize == "top":
            self._remember(request.snapshot, plan, outcome, building, loaded_ns)
        return outcome

    def _remember(self, wanted: Wanted, plan: Plan, outcome: BuildOutcome, building: Building, loaded_ns: int) -> None:
        """Keep what this build knew. A snapshot that cannot be written is one that is not there: it costs time only."""
        from bldr.snapshot.write import Built, forget, keep

        built = Built(
            plan,
            outcome,
            building.entries,
            self.workspace,
            self.toolchains,
            self.store,
            self._heard,
            self.directory,
            loaded_ns,
            self.platforms.starter,
            {
                "mode": self.request.isolation,
                "jobs": self.request.jobs,
                "keep_going": self.request.keep_going,
                "sandboxes": [(type(one).__module__, type(one).__qualname__) for one in self.registry.sandboxes],
                "platform": [self.platform.os, self.platform.arch],
                "out": plan.directory,
            },
        )
        with contextlib.suppress(OSError):
            (keep if outcome.exit_code == 0 and outcome.is_repeatable else forget)(wanted, built)

    def _pinned(self, name: str) -> Toolchain | None:
        """The toolchain that the workspace pins, if there is a workspace and it does."""
        try:
            workspace = self.workspace if self.root else None
        except WorkspaceError:
            if self._root and self.request.command != "doctor":  # which looks at what can be seen
                raise
            return None
        pinned = workspace.toolchains.get(name) if workspace else None
        if pinned is None or workspace is None:
            return None
        source = workspace.externals[pinned.external]
        with self._guard.suspended():  # it may be large, and the network slow: no plugin is at fault
            tree = workspace.external_directory(pinned.external)
        return pinned_toolchain(pinned, source, tree)

    @property
    def bringing(self) -> Bringing:
        """Brings external sources."""
        if self._bringing is None:
            self._bringing = Bringing(
                self.root,
                self.store,
                self.registry.locks,
                self.platform,
                os.environ,
                offline=self.request.offline or self.request.command == "doctor",
                warn=lambda message, hint: self._warn("fetch", message, hint),
            )
        return self._bringing

    def _warn(self, kind: str, message: str, hint: str = "") -> None:
        self.events.emit(WarningEvent(kind=kind, message=message, hint=hint))

    def _waiting(self) -> None:
        self._warn("lock", *WAITING)

    def _tell(self, error: BldrError) -> None:
        if isinstance(error, WorkspaceError):
            for problem in error.problems:
                self.events.emit(
                    Error(
                        message=problem.message,
                        hint=problem.hint,
                        file=problem.file,
                        line=problem.line,
                        column=problem.column,
                    )
                )
        else:
            self.events.emit(Error(message=error.message, hint=error.hint))
        self.events.emit(BuildFinished(success=False, exit_code=error.exit_code, ran=0, cached=0, failed=0))


def default_cache_dir(env: Mapping[str, str]) -> str:
    """`$XDG_CACHE_HOME/bldr`, `%LOCALAPPDATA%\\bldr`, or `~/.cache/bldr`; the store's is one in it."""
    home = env.get("XDG_CACHE_HOME") or env.get("LOCALAPPDATA") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "bldr")


def host_platform() -> Platform:
    """The machine that bldr runs on: actions run on it too."""
    names = {"darwin": "macos", "win32": "windows"}
    machine = os.uname().machine if hasattr(os, "uname") else os.environ.get("PROCESSOR_ARCHITECTURE", "").lower()
    architectures = {"amd64": "x86_64", "arm64": "aarch64"}
    return Platform(names.get(sys.platform, sys.platform), architectures.get(machine, machine))
