"""The part of a snapshot's graph that changed sources reach: as a plan of its own, built as every plan is.

Imported when a launcher is on its way already: what is needed here takes as long to import as a launcher to start.
"""

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from bldr.api.actions import Platform
from bldr.api.events import AnalysisFinished
from bldr.api.providers import Files
from bldr.execute.building import Building, Plan
from bldr.execute.machine import processors
from bldr.execute.platforms import Platforms
from bldr.execute.runners import Outcome, Work
from bldr.execute.sources import signature
from bldr.graph.actions import ActionGraph, ActionNode, AnalyzedTarget
from bldr.plan.entries import Entry
from bldr.report.stream import EventStream
from bldr.snapshot import files
from bldr.snapshot.actions import Actions, Piece
from bldr.snapshot.proofs import UNFOLLOWED, numbers
from bldr.snapshot.since import Since
from bldr.store.store import Store

if TYPE_CHECKING:
    from bldr.graph.targets import TargetGraph
    from bldr.load.workspace import Workspace
    from bldr.snapshot.edited import Edit
    from bldr.snapshot.proofs import Place


class MistakenError(Exception):
    """The machine gives less than was believed of it."""


class _Rest(Building):
    """The building of what is left when the rest is known."""

    def _on_finished(self, work: Work, outcome: Outcome, remaining: int) -> None:
        if outcome.result.status in ("setup", "isolation"):
            raise MistakenError
        super()._on_finished(work, outcome, remaining)

    def assume(self, known: Mapping[str, tuple[Entry, ...]], cached: int) -> None:
        """What stands at paths that no action of this plan makes, and how many others need no look."""
        self._loop.entries.update(known)
        self._cached += cached


def building_of(part: "Part", edit: "Edit", store: Store, platforms: Platforms, events: EventStream) -> Building:
    head = part.head
    building = _Rest(
        part.plan(),
        cast("Workspace", _Root(edit.root)),
        cast("TargetGraph", _Targets(edit.root)),
        store,
        platforms,
        Platform(*head["platform"]),
        events,
        jobs=head["jobs"] or processors(),
        keep_going=head["keep_going"],
    )
    building.assume(part.known, head["total"] - len(part.pieces))
    events.emit(AnalysisFinished(targets=len(part.asked), actions=len(part.pieces), tests=0))
    return building


class Part:
    """The part of a snapshot's actions that changed sources reach: `pieces` by their index, the labels that `asked`
    for what they make, and what is `known` of everything else that either needs."""

    def __init__(self, all_known: Actions, edit: "Edit") -> None:
        self._all = all_known
        self._newer = edit.since.pieces
        self.head = all_known.head
        affected = all_known.affected(edit.sources())
        self.pieces = {index: self._piece(index) for index in affected}
        numbers = dict.fromkeys(number for piece in self.pieces.values() for number in piece.labels)
        self.asked = [all_known.asked(number) for number in numbers]
        self.known: dict[str, tuple[Entry, ...]] = {}
        needed = {dep for piece in self.pieces.values() for dep in piece.node.deps}
        needed.update(maker for one in self.asked for maker in one.makers)
        for index in needed.difference(self.pieces):
            self.known.update(self._piece(index).outputs)

    def _piece(self, index: int) -> Piece:
        newer = self._newer.get(index)
        return self._all.piece(index) if newer is None else msgspec.msgpack.decode(newer, type=Piece)

    def plan(self) -> Plan:
        """The actions as a plan of their own, which needs nothing outside."""
        graph = _PartOfGraph()
        for index, piece in self.pieces.items():
            toolchains = tuple(self._all.toolchains[name] for name in piece.toolchains)
            deps = tuple(dep for dep in piece.node.deps if dep in self.pieces)
            graph.put(index, msgspec.structs.replace(piece.node, toolchains=toolchains, deps=deps))
        for one in self.asked:
            graph.targets[one.label] = AnalyzedTarget(one.label, {Files: Files(one.wanted)}, len(one.makers))
        return Plan(graph, tuple(one.label for one in self.asked), {}, list(graph.by_index.values()), self.head["out"])


class _PartOfGraph(ActionGraph):
    """Some of a graph's nodes, which keep their indexes."""

    def __init__(self) -> None:
        super().__init__()
        self.by_index: dict[int, ActionNode] = {}

    def put(self, index: int, node: ActionNode) -> None:
        self.by_index[index] = node
        for output in node.action.outputs:
            self._owners[output.path] = index

    def owner(self, path: str) -> ActionNode | None:
        index = self._owners.get(path)
        return None if index is None else self.by_index[index]


class _Root:
    """Of a workspace that is not read, what a build of known actions asks: where sources lie."""

    def __init__(self, root: str) -> None:
        self.root = root

    def host_path(self, tree_path: str) -> str:
        return f"{self.root}/{tree_path}"


class _Targets:
    """The targets of a workspace, read when a failure makes somebody ask for them."""

    def __init__(self, root: str) -> None:
        self._root = root

    def __getattr__(self, name: str) -> Any:
        from bldr.graph.targets import build_target_graph
        from bldr.load.workspace import load_workspace
        from bldr.plugins import load_plugins

        workspace = load_workspace(self._root, load_plugins(), external=_no_external)
        graph = build_target_graph(workspace, [])
        self.__dict__.update({known: getattr(graph, known) for known in dir(graph) if not known.startswith("__")})
        return getattr(graph, name)


def _no_external(source: object) -> str:
    raise AssertionError(f"a workspace with external sources has no snapshot, and here is {source}")


def updated(edit: "Edit", part: Part, entries: Mapping[str, Iterable[Entry]], store: Store) -> Since:
    """What differs from the snapshot now: of the sources that changed, of the outputs that were written."""
    old = edit.since
    now = Since(dict(old.signatures), dict(old.contents), dict(old.pieces))
    for index, piece in part.pieces.items():
        outputs = {path: tuple(entries.get(path, ())) for path in piece.outputs}
        now.pieces[index] = msgspec.msgpack.encode(msgspec.structs.replace(piece, outputs=outputs))
    files_of = _FilesOf(edit)
    hosts = [files_of.path(place) for place in edit.changed]
    above = len(edit.root) + 1
    states = store.files.get_many(hosts)
    for place, host in zip(edit.changed, hosts, strict=True):
        (entry,) = entries[host[above:]]
        status = os.stat(host)
        state = states.get(host)
        settled = state is not None and state[0] == signature(status) and state[1].hash == entry.hash
        files_of.note(now, place, status, entry, settled=settled)
    top = f"{edit.root}/{part.head['out']}"
    asked = (artifact for one in part.asked for artifact in one.wanted)
    outputs_held = {f"{top}/{entry.path}": entry for artifact in asked for entry in entries.get(artifact.path, ())}
    states = store.files.get_many(list(outputs_held))
    for host, entry in outputs_held.items():
        if not entry.hash and not entry.link:
            continue  # an empty directory: the listing of the one above it names it
        status = os.lstat(host)
        if entry.hash and states.get(host) != (signature(status), (entry.hash, entry.size_bytes)):
            raise FileNotFoundError(host)  # somebody was faster: the next check finds out
        files_of.note(now, files_of.place(host), status, entry, settled=files.is_settled(status))
    return now


class _FilesOf:
    """The files of a snapshot by their places, and their places by path."""

    def __init__(self, edit: "Edit") -> None:
        self._groups = edit.groups
        self._outputs = {group[1]: index for index, group in edit.groups.items() if group[0] == UNFOLLOWED}

    def path(self, place: "Place") -> str:
        _, directory, names, _ = self._groups[place[0]]
        return f"{directory}/{names[place[1]]}"

    def place(self, host: str) -> "Place":
        """Raises OSError for an output that the snapshot has not: the next check finds another listing and gives up."""
        directory, _, name = host.rpartition("/")
        index = self._outputs.get(directory)
        if index is None or name not in self._groups[index][2]:
            raise FileNotFoundError(host)
        return index, self._groups[index][2].index(name)

    def note(self, now: Since, place: "Place", status: os.stat_result, entry: Entry, *, settled: bool) -> None:
        """Keep a signature, where the file is as old as it has to be for one, or the content."""
        now.signatures.pop(place, None)
        now.contents.pop(place, None)
        packed = memoryview(self._groups[place[0]][3]).cast("q")
        at = 5 * place[1]
        found = numbers(status)
        if packed[at : at + 5].tolist() == list(found):
            return
        if settled:
            now.signatures[place] = found
        else:
            now.contents[place] = (f"-> {entry.link}" if entry.link else entry.hash, entry.executable)
