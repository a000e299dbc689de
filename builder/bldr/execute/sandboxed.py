"""The innermost runner: stages an action, hands it to the platform, and makes a result of how it ended."""

import signal
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from bldr.api.errors import CacheError
from bldr.api.sandbox import Exit, Isolation, Launch, Launcher, Level, Sandbox, Turns, covers
from bldr.api.spec import ResourceLimits
from bldr.execute.collect import Collector, Layout, ViolationError
from bldr.execute.depfile import reads_of
from bldr.execute.hashing import Hashing, large_files
from bldr.execute.limits import limit_hint, passed_at_the_end
from bldr.execute.logs import keep_log, open_log
from bldr.execute.result import ActionResult, limits_of
from bldr.execute.runners import Done, Outcome, Work
from bldr.execute.script import PlainCommand, without_shell
from bldr.execute.sources import SourceError, Sources
from bldr.execute.specs import Specs
from bldr.execute.staging import TREE_PATH, DirectStage, Kind, Staged, Stages, wanted_of
from bldr.execute.sysroot import Sysroots
from bldr.graph.actions import ActionNode
from bldr.store.blobs import Hashed
from bldr.store.errors import BlobMissing
from bldr.store.store import Store
from bldr.system import os

_MOST_COPIES = 50
_COPIED_BYTES = 1 << 20
"""Inputs that are copied for an action rather than shown below a layer: so many at most, and so large together."""

_SEALED: Isolation = dict.fromkeys(("fs-write", "pids", "network", "ipc"), Level.KERNEL)
"""Where the kernel saw to these, an action that has ended cannot have handed a descriptor of its tree to anybody."""

_SHORT_S = 0.1
"""Where actions take less, it matters that the next one starts before we have heard of the end of the last."""

_LATELY = 8
"""So many actions are what is meant by lately."""

_INTERRUPTED = ("interrupted", "interrupted", "")
"""Status, message and hint of what the user ended."""


class _Running(msgspec.Struct):
    work: Work
    done: Done
    stage: Staged
    sandbox: Sandbox


class _Ended(msgspec.Struct):
    """An action that is dead and whose outputs were not looked at yet; `large` are files that take long to hash."""

    running: _Running
    exited: Exit
    large: list[str]

    @property
    def is_good(self) -> bool:
        """Whether nothing is known yet that would keep other actions from being started."""
        return not self.exited.exit_code and self.exited.failure is None and self.exited.verdict is None


class Sandboxed:
    """Runs actions in the sandboxes of `launchers`; the loop calls `reap` when one of them has something to say, and
    `collect` when whatever can take the place of those that ended has been started.

    `choose` picks the launcher for an action, `missing` names what of the demanded isolation was not reached,
    `started` hears of every action that really starts, and `opened` of the file that what it prints goes to. `places`
    is how many may run at once.
    """

    def __init__(
        self,
        store: Store,
        sources: Sources,
        sysroots: Sysroots,
        choose: Callable[[ActionNode], tuple[Sandbox, Launcher]],
        missing: Callable[[ActionNode, Isolation], Sequence[str]],
        started: Callable[[Work], None],
        opened: Callable[[Work, str], None] | None = None,
        *,
        places: int = 1,
    ) -> None:
        self._store = store
        self._sources = sources
        self._sysroots = sysroots
        self._choose = choose
        self._missing = missing
        self._started = started
        self._opened = opened
        self._running: dict[int, _Running] = {}
        self._launchers: dict[int, Launcher] = {}
        self._ended: deque[_Ended] = deque()
        self._prepared: dict[int, Staged] = {}  # by the indexes of nodes
        self._places = places
        self._known_launchers: dict[int, Launcher] = {}  # by identity, as the next
        self._turns: dict[int, Turns] = {}
        self._next_ones: list[int] = []  # launches that wait for the end of another
        self._usual_s = 1.0  # that an action takes, lately
        self.released: Callable[[Work], None] = lambda _work: None
        """Called for an action that has ended well, before its outputs are collected: another may take its place."""
        self._interrupted = False
        self._next = 0
        self._specs = Specs()
        self._stages = Stages(store)
        self.hashing = Hashing()
        self._nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def run(self, work: Work, done: Done) -> None:
        self._started(work)
        self._run(work, done, is_next=False)

    def refuse(self, work: Work, error: CacheError | SourceError) -> Outcome:
        """Tell of an action that it starts, and what came of it: nothing, for what it needs cannot be had."""
        self._started(work)
        return _not_staged(error)

    def can_run_next(self, work: Work) -> bool:
        """Whether it is worth it to hand the action over before there is a place for it, where actions are short, and
        possible: launchers know nothing of each other."""
        if self._usual_s > _SHORT_S:
            return False
        _, launcher = self._choose(work.node)
        return self._takes_turns(launcher) and all(other is launcher for other in self._launchers.values())

    def run_next(self, work: Work, done: Done) -> None:
        """Hand an action over that is to start when another has ended, whether or not we have heard of that by then."""
        self._run(work, done, is_next=True)

    def go_on(self) -> None:
        """Let what waits start although actions have failed."""
        for turns in self._turns.values():
            turns.go_on()

    def note_begun(self) -> None:
        """Tell of those that waited and have begun."""
        for turns in self._turns.values():
            for launch_id in turns.begun():
                if launch_id in self._next_ones:
                    self._next_ones.remove(launch_id)
                    self._started(self._running[launch_id].work)

    def _takes_turns(self, launcher: Launcher) -> bool:
        """Whether it can hold actions back until there is a place for them."""
        if id(launcher) not in self._known_launchers:
            self._known_launchers[id(launcher)] = launcher
            if isinstance(launcher, Turns):
                self._turns[id(launcher)] = launcher
                launcher.allow(self._places)
        return id(launcher) in self._turns

    def _run(self, work: Work, done: Done, *, is_next: bool) -> None:
        self._next += 1
        sandbox, launcher = self._choose(work.node)
        try:
            stage = self._prepared.pop(work.node.index, None)
            if stage is None:
                stage = self.stage(work, launcher, self._kind(work, sandbox, launcher))
            log = open_log(stage)
        except (CacheError, SourceError) as error:
            if is_next:
                self._started(work)
            done(work, _not_staged(error))
            return
        if self._opened is not None:
            self._opened(work, stage.log)
        self._running[self._next] = _Running(work, done, stage, sandbox)
        self._launchers[self._next] = launcher
        if is_next:
            self._next_ones.append(self._next)
        resources = work.node.permissions.resources
        in_turn = self._takes_turns(launcher)
        plain = without_shell(work.node) if getattr(sandbox, "opens_stdout", False) else None
        try:
            launcher.start(self.launch(work, stage, resources, (self._nothing, log, log), plain, in_turn=in_turn))
        finally:
            os.close(log)

    def prepare(self, work: Work) -> bool:
        """Stage an action that is soon to run; False where that was done before, or cannot be: `run` says why."""
        if work.node.index in self._prepared:
            return False
        sandbox, launcher = self._choose(work.node)
        try:
            self._prepared[work.node.index] = self.stage(work, launcher, self._kind(work, sandbox, launcher))
        except (CacheError, SourceError):
            return False
        return True

    def stage(self, work: Work, launcher: Launcher, kind: Kind = "layers") -> Staged:
        """Make the action's directories. A blob that the store lost is brought again where it is a source."""
        wanted = wanted_of(work.node, work.inputs)
        stage = self._stages.take(launcher.owner, kind, wanted)
        try:
            for _ in range(len(work.inputs) + len(work.tools) + 1):
                try:
                    stage.fill(self._store, work.node, work.inputs, work.tools, wanted)
                    return stage
                except BlobMissing as error:
                    self._restore(work, error.digest_hash)
                    stage.remove()
                    stage = self._stages.take(launcher.owner, kind, wanted)
            raise CacheError("the cache loses files faster than they can be restored", "is another bldr gc running?")
        except BaseException:
            stage.remove()
            raise

    def _kind(self, work: Work, sandbox: Sandbox, launcher: Launcher) -> Kind:
        """How the action is to see its inputs: as cheaply as what it does to them can be told and undone."""
        resources = work.node.permissions.resources
        if sandbox.tree_layout != "overlay" or resources.output_bytes is not None or resources.disk_bytes is not None:
            return "layers"  # what counts as written is what the upper layer holds
        if launcher.owner is not None and launcher.owner[0] != self._store.blobs.owner[0]:
            return "links"
        sizes = [entry.size_bytes for entry in work.inputs if entry.hash]
        return "copies" if len(sizes) <= _MOST_COPIES and sum(sizes) <= _COPIED_BYTES else "layers"

    def launch(
        self,
        work: Work,
        stage: Staged,
        resources: ResourceLimits,
        stdio: tuple[int, int, int],
        instead: PlainCommand | None = None,
        *,
        in_turn: bool = False,
    ) -> Launch:
        """What the platform needs to know; `instead` replaces the action's own command."""
        sysroot = self._sysroots.stage(work.node.toolchains)
        tools = stage.tools if work.tools else ""
        return Launch(
            launch_id=self._next,
            spec=self._specs.spec(work.node, sysroot, tools, resources, instead.env if instead else ()),
            argv=instead.argv if instead else work.node.action.argv,
            into=instead.stdout if instead else "",
            cwd=TREE_PATH,
            stdin=stdio[0],
            stdout=stdio[1],
            stderr=stdio[2],
            tree=stage.tree,
            in_turn=in_turn,
        )

    def reap(self, launcher: Launcher) -> None:
        """Take note of every action that `launcher` says has ended."""
        self.note_begun()
        for exited in launcher.reap():
            running = self._running.pop(exited.launch_id)
            del self._launchers[exited.launch_id]
            if self._is_unborn(running, exited):
                continue
            ended = _Ended(running, exited, self._large_outputs(running, exited))
            self._ended.append(ended)
            self._usual_s += (exited.usage.wall_s - self._usual_s) / _LATELY
            if ended.is_good and not ended.large:
                self.released(running.work)

    def _is_unborn(self, running: _Running, exited: Exit) -> bool:
        """Take note of the end of an action that waited; whether nobody was told of it, and nobody needs to be.

        Of two that wait the later one may have been faster: then one that was told of waits in its place.
        """
        if exited.launch_id not in self._next_ones:
            return False
        self._next_ones.remove(exited.launch_id)
        if exited.began:
            self._started(running.work)
            return False
        self._stages.give_back(running.stage, may_serve_again=False)
        self.released(running.work)
        return True

    def recall(self) -> None:
        """Nothing more is to start."""
        for turns in self._turns.values():
            turns.recall()

    @property
    def all_good(self) -> bool:
        """Whether none of those that wait to be collected is known to have failed."""
        return all(ended.is_good for ended in self._ended)

    def collect(self) -> bool:
        """Finish every action that has ended; False where there is none."""
        if not self._ended:
            return False
        while self._ended:
            ended = self._ended.popleft()
            if ended.large:
                self.hashing.start(ended.large, partial(self._end, ended.running, ended.exited))
            else:
                self._end(ended.running, ended.exited, {})
        return True

    def _large_outputs(self, running: _Running, exited: Exit) -> list[str]:
        """What takes long to hash of the outputs that nobody can write to any more."""
        is_good = not exited.exit_code and exited.failure is None and exited.verdict is None
        if not is_good or not covers(exited.isolation, _SEALED):
            return []
        found: list[str] = []
        for output in running.work.node.action.outputs:
            try:
                found += large_files(running.stage.tree.upper, output.path)
            except OSError:  # collection will say what is the matter with it
                continue
        return found

    def _end(self, running: _Running, exited: Exit, hashed: Hashed | None) -> None:
        """`hashed` is None where the build was interrupted before it was known."""
        try:
            result = self._result(running, exited, hashed)
        finally:
            self._stages.give_back(running.stage, may_serve_again=covers(exited.isolation, _SEALED))
        running.done(running.work, Outcome(result, cached=False))

    def kill(self) -> None:
        """End everything that runs, now; the results still arrive, as interrupted."""
        self._interrupted = True
        self.hashing.stop()
        for launch_id, launcher in self._launchers.items():
            launcher.kill(launch_id)

    def tidy(self) -> bool:
        """Remove what one ended action left; False where there is nothing."""
        return self._stages.tidy()

    def close(self) -> None:
        self.hashing.close()
        running = (*self._running.values(), *(ended.running for ended in self._ended))  # where an error ended the build
        try:
            for stage in (*self._prepared.values(), *(one.stage for one in running)):
                stage.remove()
            self._stages.close()
        finally:
            self._prepared.clear()
            self._running.clear()
            self._ended.clear()
            os.close(self._nothing)

    def _restore(self, work: Work, lost_hash: str) -> None:
        lost = [entry for entry in (*work.inputs, *work.tools) if entry.hash == lost_hash]
        sources = [entry for entry in lost if self._sources.is_source(entry.path)]
        if not sources:
            raise CacheError(f"the cache lost {lost[0].path if lost else lost_hash} during the build", "build again")
        self._sources.restore(sources[0].path)

    def _result(self, running: _Running, exited: Exit, hashed: Hashed | None) -> ActionResult:
        node = running.work.node
        exited = self._judged(running, exited)
        result = ActionResult(
            status="ok",
            exit_code=exited.exit_code,
            log=keep_log(self._store, running.stage.log, is_ours=covers(exited.isolation, _SEALED)),
            duration_s=exited.usage.wall_s,
            usage=exited.usage,
            isolation=exited.isolation,
            limits=limits_of(node.permissions.resources),
            verdict=exited.verdict,
        )
        collector = self._collector(running, hashed or {})
        failure = _INTERRUPTED if hashed is None else self._failure(node, exited)
        if failure is not None:
            status, message, hint = failure
            left = collector.collect_optional() if status in ("failed", "killed") else ()
            return msgspec.structs.replace(result, status=status, message=message, hint=hint, outputs=left)
        try:
            collected = collector.collect()
        except ViolationError as violation:
            return msgspec.structs.replace(result, status="violated", message=violation.message, hint=violation.hint)
        except CacheError as error:
            return msgspec.structs.replace(result, status="setup", message=error.message, hint=error.hint)
        reads = self._reads(running, collected.depfile) if node.action.depfile else None
        return msgspec.structs.replace(result, outputs=collected.outputs, reads=reads)

    def _collector(self, running: _Running, hashed: Hashed) -> Collector:
        work, stage = running.work, running.stage
        if not isinstance(stage, DirectStage):
            layout: Layout = running.sandbox.tree_layout
            return Collector(self._store, work.node, work.inputs, stage.tree.upper, layout, hashed=hashed)
        layout = "as staged" if stage.is_as_staged() else "direct"
        return Collector(self._store, work.node, work.inputs, stage.tree.upper, layout, stage.is_untouched, hashed)

    def _judged(self, running: _Running, exited: Exit) -> Exit:
        """The end of an action, with the verdict on what it had written then where nothing else went wrong."""
        if exited.exit_code or exited.failure is not None or exited.verdict is not None:
            return exited
        resources, stage = running.work.node.permissions.resources, running.stage
        if resources.output_bytes is None and resources.disk_bytes is None and resources.log_bytes is None:
            return exited
        inputs = [entry.path for entry in running.work.inputs] if running.sandbox.tree_layout == "copy" else []
        verdict = passed_at_the_end(resources, stage.tree.upper, os.stat(stage.log).st_size, set(inputs))
        return msgspec.structs.replace(exited, verdict=verdict)

    def _failure(self, node: ActionNode, exited: Exit) -> tuple[str, str, str] | None:
        """Status, message and hint of an action that did not succeed, or None."""
        if exited.exit_code and (self._interrupted or not exited.began):
            return _INTERRUPTED
        if exited.failure is not None:
            return "setup", f"the sandbox could not be made: {exited.failure.message}", exited.failure.hint
        if exited.verdict is not None:
            return "killed", f"killed: {exited.verdict}", limit_hint(node, exited.verdict)
        if exited.signal:
            return "failed", f"the command died of {_signal_name(exited.signal)}", ""
        if exited.exit_code:
            return "failed", f"the command failed with exit code {exited.exit_code}", ""
        missing = self._missing(node, exited.isolation)
        if missing:
            return "isolation", f"the isolation asked for was not reached: {', '.join(missing)}", "run bldr doctor"
        return None

    def _reads(self, running: _Running, text: str) -> tuple[str, ...]:
        """What the depfile names; without one (or an empty one) every input counts."""
        inputs = {entry.path: entry for entry in running.work.inputs}
        if not text:
            return tuple(sorted(inputs))
        tree = running.stage.tree
        return reads_of(text, (TREE_PATH, tree.upper), inputs)


def _not_staged(error: CacheError | SourceError) -> Outcome:
    return Outcome(ActionResult(status="setup", exit_code=1, message=error.message, hint=error.hint), cached=False)


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return f"signal {number} ({name}: {(signal.strsignal(number) or name).lower()})"
