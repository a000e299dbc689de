"""Analysis: asks the handler of every target for its actions, and holds the answers to the contract."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn, get_args, get_origin, get_type_hints

from bldr.api.actions import Action, Artifact, Platform
from bldr.api.attributes import TargetAttributes, TestAttributes
from bldr.api.configuration import Configuration
from bldr.api.errors import CacheError, FetchError, PluginError, Problem, TargetError, ToolchainError, WorkspaceError
from bldr.api.handlers import Analysis, P
from bldr.api.labels import Label
from bldr.api.providers import Executable, Files, TestInfo
from bldr.api.toolchains import Toolchain
from bldr.graph.actions import RESERVED_NAMES, ActionGraph, ActionNode, AnalyzedTarget, Permissions
from bldr.graph.contract import BreachError, Known, check_analysis, provided_artifacts
from bldr.graph.pinned import resolve_command
from bldr.guard import Guard, Overdue, described, is_plugins_own
from bldr.system import path_complaint, path_identity

if TYPE_CHECKING:
    from bldr.graph.targets import TargetGraph
    from bldr.load.targets import Target
    from bldr.plugins import HandlerEntry, Registry

Toolchains = Callable[[str], Toolchain]
PermissionsOf = Callable[["Target"], Permissions]


class AnalyzedDep:
    """A dep as a handler sees it."""

    def __init__(self, analyzed: AnalyzedTarget) -> None:
        self.label = analyzed.label
        self._providers = analyzed.providers

    def get(self, provider: type[P]) -> P | None:
        return self._providers.get(provider)  # type: ignore[return-value]  # keyed by its own type


class Call(NamedTuple):
    """One call of a handler, as messages name it."""

    entry: "HandlerEntry"
    label: Label

    def __str__(self) -> str:
        return f'{self.entry}, asked about "{self.label}",'


class TargetContext:
    """The `Context` of one target; remembers what the handler declared."""

    def __init__(
        self,
        target: "Target",
        graph: ActionGraph,
        platform: Platform,
        configuration: Configuration,
        toolchains: Toolchains,
    ) -> None:
        self.label = target.label
        self.platform = platform
        self.configuration = configuration
        self.declared: dict[str, Artifact] = {}
        self.toolchains: dict[str, Toolchain] = {}
        self.failed_attribute = ""
        self._target = target
        self._graph = graph
        self._find_toolchain = toolchains

    def files(self, attribute: str) -> tuple[Artifact, ...]:
        found: list[Artifact] = []
        for file in self._target.files.get(attribute, ()):
            if isinstance(file, Label):
                providers = self._graph.targets[file].providers
                provided = providers.get(Files)
                if not isinstance(provided, Files):
                    self.fail(f'"{file}" among {attribute} provides no files', "name it in deps", attribute)
                found.extend(provided.files)
                program = providers.get(Executable)
                if attribute == "data" and isinstance(program, Executable):
                    found.extend(program.runtime)
            else:
                found.append(Artifact(file))
        return tuple(dict.fromkeys(found)) if attribute == "data" else tuple(found)

    def deps(self, attribute: str = "deps") -> tuple[AnalyzedDep, ...]:
        return tuple(AnalyzedDep(self._graph.targets[label]) for label in self._target.labels.get(attribute, ()))

    def declare_file(self, name: str) -> Artifact:
        return self._declare(name, is_directory=False)

    def declare_directory(self, name: str) -> Artifact:
        return self._declare(name, is_directory=True)

    def _declare(self, name: str, *, is_directory: bool) -> Artifact:
        parts = name.split("/")
        if not name or any(part in ("", ".", "..") for part in parts) or "\0" in name:
            hint = "outputs are paths below the package, without . and .."
            self.fail(f'"{name}" cannot be an output', hint, "outputs")
        if path_complaint is not None and (why := path_complaint(name)):
            self.fail(f'the output "{name}" {why}', "give it another name", "outputs")
        directory = self.label.directory
        artifact = Artifact(f"{directory}/{name}" if directory else name, self.label, is_directory)
        if artifact.path in self.declared:
            self.fail(f'the output "{name}" is declared twice', "take one of them out", "outputs")
        self.declared[artifact.path] = artifact
        return artifact

    def toolchain(self, name: str) -> Toolchain:
        if name not in self.toolchains:
            self.toolchains[name] = self._find_toolchain(name)
        return self.toolchains[name]

    def fail(self, message: str, hint: str = "", attribute: str = "") -> NoReturn:
        self.failed_attribute = str(attribute)
        raise TargetError(message, hint)


class Analyzer:
    """Analyses targets in dependency order into one `ActionGraph`; collects all that is wrong."""

    def __init__(
        self,
        graph: "TargetGraph",
        registry: "Registry",
        platform: Platform,
        toolchains: Toolchains,
        permissions: PermissionsOf,
        source_exists: Callable[[str], bool],
        inherited_env: dict[str, str],
        configuration: Configuration | None = None,
        reserved: Iterable[str] = (),
        guard: Guard | None = None,
    ) -> None:
        self.configuration = configuration or Configuration()
        self.actions = ActionGraph(self.configuration.env)
        self.guard = guard or Guard()
        self._graph = graph
        self._registry = registry
        self._platform = platform
        self._toolchains = toolchains
        self._permissions = permissions
        self._source_exists = source_exists
        self._inherited_env = inherited_env
        self._problems: list[Problem] = []
        self._claimed: dict[str, Label] = {}
        self._above: dict[str, str] = {}  # every directory above what is claimed, and one output that lies in it
        self._known = Known()
        self._reserved = frozenset((*RESERVED_NAMES, *reserved))

    def analyze(self, labels: Iterable[Label]) -> ActionGraph:
        """Analyse `labels` and all that they depend on. Raises WorkspaceError with everything that handlers refused."""
        wanted = set(labels)
        for label in reversed(self._graph.order):
            if label in wanted:
                wanted.update(self._graph.deps(label))
        failed: set[Label] = set()
        with self.guard:
            for label in self._graph.order:
                if label not in wanted:
                    continue
                if failed.intersection(self._graph.deps(label)) or not self._analyze_one(label):
                    failed.add(label)
        if self._problems:
            raise WorkspaceError(self._problems)
        return self.actions

    def _analyze_one(self, label: Label) -> bool:
        target = self._graph.target(label)
        entry = self._registry.handlers[target.handler_key]
        context = TargetContext(target, self.actions, self._platform, self.configuration, self._find_toolchain)
        try:
            analysis = self._ask(entry, target.attributes, context)
            self._check(entry, target, context, analysis)
            _check_env(target.attributes, context)
            for name in dict.fromkeys(_named_toolchains(analysis)):
                context.toolchain(name)  # found here, a missing one is the target's mistake
        except (TargetError, ToolchainError) as error:
            place = target.place(context.failed_attribute)
            self._problems.append(Problem(*place, f'target "{label}": {error.message}', error.hint))
            return False
        permissions = self._permissions(target)
        for action in analysis.actions:
            self.actions.add(self._node(entry, target, context, action, permissions))
        providers = {type(provider): provider for provider in analysis.provides}
        self.actions.targets[label] = AnalyzedTarget(label, providers, len(analysis.actions))
        return True

    def _ask(self, entry: "HandlerEntry", attributes: TargetAttributes, context: TargetContext) -> Analysis:
        """The handler's answer, whatever it is like inside. A stranger's code: it is named in all that goes wrong."""
        before = _changeable(attributes)
        self.guard.calls(Call(entry, context.label))
        try:
            analysis = entry.handler.analyze(attributes, context)
        except (TargetError, ToolchainError, PluginError, CacheError, FetchError):
            raise
        except Overdue as overdue:
            raise PluginError(str(overdue), _report_to(entry)) from overdue
        except BaseException as error:
            if not is_plugins_own(error):
                raise
            raise PluginError(f'{entry} failed on "{context.label}": {described(error)}', _report_to(entry)) from error
        finally:
            self.guard.is_back()
            changed = self.guard.changed()
        if changed:
            raise _breach(entry, context.label, f"it changed {changed}")
        if before != _changeable(attributes):
            raise _breach(entry, context.label, "it changed the attributes of the target")
        return analysis

    def _find_toolchain(self, name: str) -> Toolchain:
        try:
            with self.guard.detecting(f'the detector of the toolchain "{name}"'):
                return self._toolchains(name)
        except Overdue as overdue:
            raise PluginError(str(overdue), "bldr doctor lists the plugins") from overdue

    def _check(self, entry: "HandlerEntry", target: "Target", context: TargetContext, analysis: Analysis) -> None:
        """Every output is declared, made once and nobody else's; every derived input is made by somebody."""
        try:
            check_analysis(analysis, target.attributes)
            made = self._made(context, analysis)
            for action in analysis.actions:
                self._known.check_all(action.inputs)
                self._known.check_all(action.tools)
            for provider in analysis.provides:
                self._known.check_all(provided_artifacts(provider))
        except BreachError as breach:
            raise _breach(entry, target.label, str(breach)) from breach
        for path in sorted(made):
            self._claim(target, context, path)

    def _made(self, context: TargetContext, analysis: Analysis) -> set[str]:
        """The paths of all outputs. Raises BreachError where one was not declared, or is made twice."""
        made: set[str] = set()
        for action in analysis.actions:
            for output in action.outputs:
                if context.declared.get(output.path) != output:
                    owner = self.actions.owner(output.path)
                    whose = f': it is "{owner.label}" that makes it' if owner is not None else ""
                    raise BreachError(f'the output "{output.path}" was not declared by this target{whose}')
                if output.path in made:
                    raise BreachError(f'two of its actions make "{output.path}"')
                made.add(output.path)
                self._known.add(output)
        return made

    def _claim(self, target: "Target", context: TargetContext, path: str) -> None:
        """One owner for each output: no other target's, no source's, and none inside another's directory."""
        name = path.removeprefix(f"{target.label.directory}/") if target.label.directory else path
        if path.partition("/")[0].casefold() in self._reserved:
            context.fail(
                f'the output "{name}" has a place that bldr keeps for itself', "give it another name", "outputs"
            )
        key = path if path_identity is None else path_identity(path)
        other = self._claimed.get(key)
        if other is not None:
            context.fail(f'the output "{name}" is made by "{other}" too', "give one of them another name", "outputs")
        if self._source_exists(path):
            context.fail(f'the output "{name}" has the path of a source file', "give it another name", "outputs")
        outer, inner = name, self._above.get(key)
        parents = []
        parent = key
        while (parent := parent.rpartition("/")[0]) and parent not in self._above:
            parents.append(parent)
            if parent in self._claimed:
                outer, inner = parent, name
        if inner is not None:
            context.fail(f'the output "{inner}" lies inside the output "{outer}"', "declare only one", "outputs")
        self._claimed[key] = target.label
        self._above.update(dict.fromkeys(parents, path))

    def _node(
        self, entry: "HandlerEntry", target: "Target", context: TargetContext, action: Action, permissions: Permissions
    ) -> ActionNode:
        toolchains = tuple(context.toolchain(name) for name in action.toolchains)
        return ActionNode(
            index=len(self.actions.nodes),
            label=target.label,
            action=resolve_command(action, toolchains),
            handler=entry.identity,
            toolchains=toolchains,
            env=action_env(action, toolchains, target.attributes, self._inherited_env, self.configuration.env),
            permissions=permissions,
            deps=self.actions.producers((*action.inputs, *action.tools)),
            # of a test it is the run that wants to be alone, not what builds it
            exclusive="exclusive" in target.attributes.tags and not isinstance(target.attributes, TestAttributes),
        )


def _named_toolchains(analysis: Analysis) -> Iterator[str]:
    """Those of the actions, and those that a test runs with."""
    for action in analysis.actions:
        yield from action.toolchains
    for provider in analysis.provides:
        if isinstance(provider, TestInfo):
            yield from provider.toolchains


def _breach(entry: "HandlerEntry", label: Label, what: str) -> PluginError:
    return PluginError(f'{entry} broke its contract on "{label}": {what}', _report_to(entry))


def _report_to(entry: "HandlerEntry") -> str:
    return f"report it to the authors of {entry.distribution}"


def _changeable(attributes: TargetAttributes) -> list[Any]:
    """Copies of the tables and lists among the attributes of a target, which a frozen struct does not freeze."""
    values = [getattr(attributes, name) for name in _changeable_names(type(attributes))]
    return [deepcopy(value) if value else None for value in values]


@cache
def _changeable_names(struct: type[TargetAttributes]) -> tuple[str, ...]:
    return tuple(name for name, hint in get_type_hints(struct).items() if _may_change(hint))


def _may_change(hint: Any) -> bool:
    origin = get_origin(hint) or hint
    if origin is Literal:
        return False
    return origin in (Any, dict, list, set, bytearray) or any(map(_may_change, get_args(hint)))


def _check_env(attributes: TargetAttributes, context: TargetContext) -> None:
    for attribute, names in (("env", attributes.env), ("env_inherit", attributes.env_inherit)):
        if "BLDR_ROOT" in names:
            context.fail("BLDR_ROOT is set by bldr: it is where the tree stands", "take it out", attribute)


def action_env(
    action: Action,
    toolchains: Iterable[Toolchain],
    attributes: TargetAttributes,
    host_env: dict[str, str],
    configured: Mapping[str, str] | None = None,
) -> tuple[tuple[str, str], ...]:
    """E, exactly: the defaults, what toolchains, configuration, handler and target set (the last of them wins), and
    what the target inherits by name."""
    directories = dict.fromkeys(f"/tools/{tool.path}".rpartition("/")[0] for tool in action.tools)
    set_by_toolchains: list[tuple[str, str]] = []
    for toolchain in toolchains:
        set_by_toolchains += toolchain.env.items()
        directories[f"/toolchain/{toolchain.name}/bin"] = None
    shared = _shared_env(":".join(directories), tuple(set_by_toolchains))
    own = {**(configured or {}), **action.env, **attributes.env}
    own.update((name, host_env[name]) for name in attributes.env_inherit if name in host_env)
    if own.keys().isdisjoint(shared):
        return tuple(sorted([*shared.values(), *own.items()]))
    return tuple(sorted({**dict(shared.values()), **own}.items()))


@lru_cache(maxsize=256)
def _shared_env(path: str, set_by_toolchains: tuple[tuple[str, str], ...]) -> dict[str, tuple[str, str]]:
    """What very many actions have in common, as pairs of which there is one each."""
    env = {
        "HOME": "/tmp",  # noqa: S108  # the sandbox's own
        "LANG": "C.UTF-8",
        "SOURCE_DATE_EPOCH": "315532800",
        "TMPDIR": "/tmp",  # noqa: S108
        "TZ": "UTC",
        "USER": "builder",
    }
    env.update(set_by_toolchains)
    env["PATH"] = path
    return {name: (name, value) for name, value in env.items()}
