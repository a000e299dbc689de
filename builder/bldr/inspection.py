"""Looks at what was built: why an action runs, what ran, what this machine gives, and a shell in an action's place."""

import os
import select
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from bldr.api.errors import BldrError, CacheError, IsolationError, WorkspaceError
from bldr.api.labels import Label
from bldr.api.sandbox import Probe, Verdict
from bldr.execute.building import Building
from bldr.execute.history import History
from bldr.execute.limits import LimitUse
from bldr.execute.records import Record, load_parts, load_record
from bldr.execute.result import ActionResult
from bldr.execute.runners import Cached, Runner, Work
from bldr.execute.sandboxed import Sandboxed
from bldr.execute.script import PlainCommand
from bldr.execute.sources import Sources
from bldr.execute.sysroot import Sysroots
from bldr.graph.actions import ActionNode
from bldr.plan.entries import Entry, expand

if TYPE_CHECKING:
    from bldr.session import Session


class Explanation(msgspec.Struct, frozen=True):
    """Why one action would run now, or that it would not and why it ran the last time."""

    label: Label
    mnemonic: str
    lines: tuple[str, ...]


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The last run of one action: a command, the world it ran in, and what it printed. `part` is which shard, run or
    attempt of a test it was; "" where it is all there is."""

    label: str
    mnemonic: str
    part: str
    command: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    status: str
    exit_code: int
    message: str
    reason: str
    duration_s: float
    isolation: dict[str, str]
    limits: dict[str, float]
    limit_uses: tuple[LimitUse, ...]
    verdict: Verdict | None
    usage: dict[str, float]
    log: str
    reproduce: str


class ToolchainReport(msgspec.Struct, frozen=True, kw_only=True):
    """A toolchain that a plugin looked for, or that the workspace pins: what it is, or why there is none.

    `pinned` is the external source that it comes from, "" where it was detected on this machine.
    """

    name: str
    found: bool
    description: str
    hint: str = ""
    version: str = ""
    identity: str = ""
    pinned: str = ""


class PluginReport(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin that is installed: what it offers by kind, or why it could not be loaded."""

    name: str
    distribution: str
    version: str
    offers: dict[str, tuple[str, ...]] = {}
    problem: str = ""


class DoctorReport(msgspec.Struct, frozen=True, kw_only=True):
    """What this machine can give."""

    probes: tuple[Probe, ...]
    toolchains: tuple[ToolchainReport, ...]
    cache_dir: str
    problems: tuple[str, ...]
    plugins: tuple[PluginReport, ...] = ()


def explain(session: "Session", labels: Sequence[Label]) -> list[Explanation]:
    """Walk the actions in order without running any. What waits for an action that must run says so."""
    plan = session.plan(labels, tests=True)
    history = History(session.store, session.memory)
    sources = Sources(session.workspace, session.store)
    nothing: Runner = _NoRunner()
    cached = Cached(nothing, session.store, history, session.platform, session.platforms.floor)
    entries: dict[str, tuple[Entry, ...]] = {}
    found: list[Explanation] = []
    for node in plan.nodes:
        lines = _explain_one(session, cached, sources, node, entries)
        if node.label in labels:
            found.append(Explanation(node.label, f"{node.action.mnemonic} {node.name}", tuple(lines)))
    return found


class _NoRunner:
    def run(self, work: Work, done: object) -> None:  # noqa: ARG002  # the protocol's
        raise AssertionError(f"explaining must not run {work.node.name}")


def _explain_one(
    session: "Session", cached: Cached, sources: Sources, node: ActionNode, entries: dict[str, tuple[Entry, ...]]
) -> list[str]:
    artifacts = (*node.action.inputs, *node.action.tools)
    for artifact in artifacts:
        if artifact.is_source and artifact.path not in entries:
            entries[artifact.path] = (sources.entry(artifact.path),)
    waiting = [artifact.path for artifact in artifacts if artifact.path not in entries]
    if waiting:
        return [f"waits for {path}, which must be made again" for path in waiting]
    work = Work(node, tuple(expand(node.action.inputs, entries)), tuple(expand(node.action.tools, entries)))
    result, reason = cached.find(work)
    if result is None:
        return [f"must run: {reason}"]
    for output in node.action.outputs:
        entries[output.path] = result.entries_of(output)
    record = load_record(session.store, session.memory, node.name)
    last = f"; it last ran because: {record.reason}" if record else ""
    return [f"up to date{last}"]


def log_entries(session: "Session", labels: Sequence[Label]) -> list[LogEntry]:
    """The last runs of the actions of `labels`, tests included, in the order in which they depend on each other."""
    plan = session.plan(labels, tests=True)
    names: dict[str, None] = {}
    for node in plan.graph.nodes:
        if node.label in labels:
            parts = load_parts(session.store, session.memory, str(node.label)) if node.test is not None else []
            names.update(dict.fromkeys(parts or [node.name]))
    records = (load_record(session.store, session.memory, name) for name in names)
    return [entry for record in records if record is not None for entry in _log_of(session, record)]


def _log_of(session: "Session", record: Record) -> Iterator[LogEntry]:
    """The entry of a run; of a test that was tried again, one for every attempt."""
    results = (*record.earlier, record.result)
    for number, result in enumerate(results, 1):
        attempt = f"attempt {number} of {len(results)}" if len(results) > 1 else ""
        yield _log_entry(session, record, result, ", ".join(filter(None, (record.part, attempt))))


def _log_entry(session: "Session", record: Record, result: ActionResult, part: str) -> LogEntry:
    try:
        log = session.store.blobs.read(result.log).decode(errors="replace") if result.log else ""
    except CacheError:
        log = "[the log was removed by garbage collection]\n"
    return LogEntry(
        label=record.label,
        mnemonic=record.mnemonic,
        part=part,
        command=record.argv,
        env=dict(record.env),
        cwd="/build",
        status=result.status,
        exit_code=result.exit_code,
        message=result.message,
        reason=record.reason,
        duration_s=result.duration_s,
        isolation={name: level.name.lower() for name, level in result.isolation.items()},
        limits=result.limits,
        limit_uses=record.limit_uses,
        verdict=result.verdict,
        usage={name: value for name, value in msgspec.structs.asdict(result.usage).items() if value is not None},
        log=log,
        reproduce=f"bldr shell {record.label}",
    )


def shell(session: "Session", labels: Sequence[Label]) -> int:
    """Open a shell in the sandbox of the target's failed action, or else its last; returns the shell's exit code.

    Raises BldrError where `labels` are not one target with an action.
    """
    if len(labels) != 1:
        raise BldrError(f"a shell stands in one target, and these are {len(labels)}", "name one target")
    label = labels[0]
    plan = session.plan([label], tests=True)
    own = [node for node in plan.nodes if node.label == label]
    if not own:
        raise BldrError(f'the target "{label}" has no actions', "bldr query 'kind(executable, //...)'")
    failed = [node for node in own if _failed(session, node)]
    node = failed[0] if failed else own[-1]
    needed = msgspec.structs.replace(plan, labels=(), tests={}, nodes=plan.graph.needed(node.deps))
    building = Building(
        needed,
        session.workspace,
        session.graph,
        session.store,
        session.platforms,
        session.platform,
        session.events,
        jobs=session.jobs,
        keep_going=False,
    )
    outcome = building.run(is_test=False)
    if outcome.exit_code:
        return outcome.exit_code
    return _enter(session, _with_shell(session, node), building.entries)


def _failed(session: "Session", node: ActionNode) -> bool:
    record = load_record(session.store, session.memory, node.name)
    return record is not None and not record.result.is_ok


def _with_shell(session: "Session", node: ActionNode) -> ActionNode:
    """The action with the shell's toolchain beside its own."""
    toolchains = node.toolchains
    if all(toolchain.name != "shell" for toolchain in toolchains):
        toolchains = (*toolchains, session.toolchains("shell"))
    env = dict(node.env)
    env["PATH"] = ":".join(filter(None, (env.get("PATH", ""), "/toolchain/shell/bin")))
    env["TERM"] = os.environ.get("TERM", "dumb")
    return msgspec.structs.replace(node, toolchains=toolchains, env=tuple(sorted(env.items())))


def _enter(session: "Session", node: ActionNode, entries: Mapping[str, Sequence[Entry]]) -> int:
    sources = Sources(session.workspace, session.store)
    known = dict(entries)
    for artifact in (*node.action.inputs, *node.action.tools):
        if artifact.is_source:
            known[artifact.path] = (sources.entry(artifact.path),)
    work = Work(node, tuple(expand(node.action.inputs, known)), tuple(expand(node.action.tools, known)))
    runner = Sandboxed(
        session.store, sources, Sysroots(session.store), session.platforms.choose, lambda *_: (), lambda _: None
    )
    session.platforms.on_open(lambda _: None, session.events)
    _, launcher = session.platforms.choose(node)
    stage = runner.stage(work, launcher)
    try:
        resources = msgspec.structs.replace(node.permissions.resources, wall_time_s=None)
        words = _shell(node)
        launcher.start(runner.launch(work, stage, resources, (0, 1, 2), PlainCommand(tuple(words))))
        while not (exits := launcher.reap()):
            select.select([launcher.fileno()], [], [])
    finally:
        session.platforms.close()
        stage.remove()
        runner.close()
    failure = exits[0].failure
    if failure is not None:
        raise IsolationError(failure.message, failure.hint)
    return exits[0].exit_code


def _shell(node: ActionNode) -> tuple[str, ...]:
    """The best shell of the action's toolchains, for a person where one sits there."""
    there = {name for toolchain in node.toolchains for name in toolchain.executables}
    name = next((name for name in ("bash", "sh", "cmd") if name in there), "sh")
    return (name, "-i") if os.isatty(0) and name != "cmd" else (name,)


def doctor(session: "Session") -> DoctorReport:
    """Probe every platform and look for every toolchain. Nothing is fetched for it."""
    pinned, mistakes = _pinned(session)
    names = sorted({*session.toolchains.names(), *pinned})
    toolchains = [_toolchain(session, name, pinned.get(name, "")) for name in names]
    registry = session.registry
    plugins = [
        PluginReport(name=origin.plugin, distribution=origin.distribution, version=origin.version, offers=offers)
        for origin, offers in registry.plugins
    ]
    plugins += [
        PluginReport(name=one.name, distribution=one.distribution, version=one.version, problem=one.reason)
        for one in registry.broken
    ]
    problems = [f"{one} could not be loaded: {one.reason}" for one in registry.broken]
    problems += [f"{error.message} (to mend it: {error.hint})" for error in registry.conflicts]
    return DoctorReport(
        probes=tuple(session.platforms.probes()),
        toolchains=tuple(toolchains),
        cache_dir=os.path.dirname(session.store.root),
        problems=(*problems, *registry.notes, *mistakes),
        plugins=tuple(sorted(plugins, key=lambda plugin: (plugin.name, plugin.distribution))),
    )


def _pinned(session: "Session") -> tuple[dict[str, str], list[str]]:
    """The toolchains that the workspace pins, each with its external source, and why that is not known."""
    try:
        root = session.root
    except WorkspaceError:
        return {}, []  # a person may ask anywhere
    try:
        return {name: pinned.external for name, pinned in session.workspace.toolchains.items()}, []
    except BldrError:
        return {}, [f"the Builderfiles of {root} have mistakes: which toolchains they pin is not known"]


def _toolchain(session: "Session", name: str, pinned: str) -> ToolchainReport:
    try:
        toolchain = session.toolchains(name)
    except BldrError as error:
        return ToolchainReport(name=name, found=False, description=error.message, hint=error.hint, pinned=pinned)
    described = [f"{key}={value}" for key, value in sorted(toolchain.attributes.items()) if key != "version"]
    return ToolchainReport(
        name=name,
        found=True,
        description=" ".join(described) or ", ".join(sorted(toolchain.executables)),
        version=toolchain.attributes.get("version", ""),
        identity=toolchain.identity,
        pinned=pinned,
    )
