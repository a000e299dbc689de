"""The actions of a snapshot, written so that some of them can be read without the rest.

Nodes, and the labels that ask for what they make, are pieces of their own; who needs what are lists of numbers, packed.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from itertools import accumulate

import msgspec

from bldr.api.actions import Action, Artifact
from bldr.api.labels import Label
from bldr.api.toolchains import Toolchain
from bldr.graph.actions import ActionNode, Permissions
from bldr.plan.entries import Entry
from bldr.snapshot import files
from bldr.snapshot.gathered import Gathered


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """One action as it was last: `node` without its toolchains, which are named; what stands at each of its outputs;
    the numbers of the labels that asked for any of them."""

    node: ActionNode
    toolchains: tuple[str, ...]
    outputs: dict[str, tuple[Entry, ...]]
    labels: tuple[int, ...]


class _Common(msgspec.Struct, frozen=True, array_like=True):
    """What many actions have in common, kept once."""

    handler: str
    permissions: Permissions


class _Written(msgspec.Struct, frozen=True, array_like=True):
    """A piece as it is written: `common` is the number of what it has in common with others."""

    label: Label
    action: Action
    common: int
    env: tuple[tuple[str, str], ...]
    deps: tuple[int, ...]
    optional_outputs: frozenset[str]
    exclusive: bool
    toolchains: tuple[str, ...]
    outputs: dict[str, tuple[Entry, ...]]
    labels: tuple[int, ...]


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """One label of the request, everything that a person gets for it, and the actions that make that."""

    label: Label
    wanted: tuple[Artifact, ...]
    makers: tuple[int, ...]


class Actions:
    """The file of actions that belongs to one snapshot."""

    def __init__(self, read: files.Snapshot) -> None:
        self.head = read.head
        self._pieces, self._labels = (_Pieces(*read.parts[at : at + 2]) for at in (0, 2))
        self._users, self._readers = (_Pieces(*read.parts[at : at + 2]) for at in (4, 6))
        self._decoder = msgspec.msgpack.Decoder(_Written)
        self.toolchains = {
            toolchain.name: toolchain for toolchain in msgspec.msgpack.decode(read.parts[8], type=list[Toolchain])
        }
        self._common = msgspec.msgpack.decode(read.parts[9], type=list[_Common])

    def piece(self, index: int) -> Piece:
        """One action, complete."""
        found = self._decoder.decode(self._pieces[index])
        common = self._common[found.common]
        node = ActionNode(
            index=index,
            label=found.label,
            action=found.action,
            handler=common.handler,
            toolchains=(),
            env=found.env,
            permissions=common.permissions,
            deps=found.deps,
            optional_outputs=found.optional_outputs,
            exclusive=found.exclusive,
        )
        return Piece(node, found.toolchains, found.outputs, found.labels)

    def asked(self, number: int) -> Asked:
        """One label of the request."""
        return msgspec.msgpack.decode(self._labels[number], type=Asked)

    def affected(self, sources: Iterable[int]) -> list[int]:
        """The actions that read any of these sources, or what such an action makes: in order."""
        waiting = [reader for source in sources for reader in self._readers.numbers(source)]
        found: set[int] = set()
        while waiting:
            index = waiting.pop()
            if index not in found:
                found.add(index)
                waiting += self._users.numbers(index)
        return sorted(found)


class _Pieces:
    """Pieces one after the other, and where each begins."""

    def __init__(self, offsets: memoryview, data: memoryview) -> None:
        self._offsets = offsets.cast("q")
        self._data = data

    def __getitem__(self, index: int) -> memoryview:
        return self._data[self._offsets[index] : self._offsets[index + 1]]

    def numbers(self, index: int) -> list[int]:
        return self[index].cast("q").tolist()


def write(
    place: str,
    head: Mapping[str, object],
    nodes: Sequence[ActionNode],
    entries: Mapping[str, Sequence[Entry]],
    wanted: Iterable[tuple[Label, Sequence[Artifact]]],
    sources: Sequence[str],
) -> None:
    """Write the file of actions of the snapshot at `place`; `sources` are the paths of all, in the snapshot's order.

    Indexes of nodes become places in `nodes`, which hold all that are needed, in order. Raises OSError.
    """
    path = place + files.ACTIONS
    files.make_folder(path)
    with closing(_Packed(path)) as pieces, closing(_Packed(path)) as labelled:
        parts = _parts(pieces, labelled, nodes, entries, wanted, sources)
        files.write(path, dict(head), parts)


def _parts(
    pieces: "_Packed",
    labelled: "_Packed",
    nodes: Sequence[ActionNode],
    entries: Mapping[str, Sequence[Entry]],
    wanted: Iterable[tuple[Label, Sequence[Artifact]]],
    sources: Sequence[str],
) -> list[bytes | Gathered]:
    index_of = {node.index: index for index, node in enumerate(nodes)}
    numbers = _add_labels(labelled, wanted, nodes)
    users = _Numbers()
    readers = _Numbers()
    source_of = {path: number for number, path in enumerate(sources)}
    toolchains: dict[str, Toolchain] = {}
    encode = msgspec.msgpack.Encoder().encode
    common = _Numbered()
    for index, node in enumerate(nodes):
        deps = tuple(map(index_of.__getitem__, node.deps))
        for dep in deps:
            users.add(dep, index)
        action = node.action
        for artifact in action.inputs + action.tools:
            if artifact.owner is None:
                readers.add(source_of[artifact.path], index)
        for toolchain in node.toolchains:
            toolchains[toolchain.name] = toolchain
        outputs = {output.path: tuple(entries.get(output.path, ())) for output in action.outputs}
        labels = tuple(dict.fromkeys(number for path in outputs for number in numbers.get(path, ())))
        written = _Written(
            node.label,
            action,
            common.number(node.handler, node.permissions),
            node.env,
            deps,
            node.optional_outputs,
            node.exclusive,
            tuple(toolchain.name for toolchain in node.toolchains),
            outputs,
            labels,
        )
        pieces.add(encode(written))
    return [
        *pieces.parts(),
        *labelled.parts(),
        *users.parts(len(nodes)),
        *readers.parts(len(sources)),
        encode(list(toolchains.values())),
        encode(common.values),
    ]


def _add_labels(
    labelled: "_Packed", wanted: Iterable[tuple[Label, Sequence[Artifact]]], nodes: Sequence[ActionNode]
) -> dict[str, list[int]]:
    """Add every label as it is written; by path, the numbers of those that ask for what stands there."""
    maker_of = {output.path: index for index, node in enumerate(nodes) for output in node.action.outputs}
    numbers: dict[str, list[int]] = {}
    encode = msgspec.msgpack.Encoder().encode
    for number, (label, artifacts) in enumerate(wanted):
        makers = dict.fromkeys(maker_of[artifact.path] for artifact in artifacts)
        labelled.add(encode(Asked(label, tuple(artifacts), tuple(makers))))
        for artifact in artifacts:
            numbers.setdefault(artifact.path, []).append(number)
    return numbers


def read(place: str, cache_directory: str, base: bytes) -> Actions | None:
    """The actions of the snapshot at `place` whose identity is `base`; None where they are not there, or another's."""
    found = files.read(place + files.ACTIONS, cache_directory)
    return Actions(found) if found is not None and found.head["base"] == base else None


class _Packed:
    """Pieces as they are written: one after the other, for the file at `path`."""

    def __init__(self, path: str) -> None:
        self._offsets = array("q", [0])
        self._data = Gathered(path)

    def add(self, piece: bytes) -> None:
        self._data.add(piece)
        self._offsets.append(len(self._data))

    def parts(self) -> tuple[bytes, Gathered]:
        return self._offsets.tobytes(), self._data

    def close(self) -> None:
        self._data.close()


class _Numbered:
    """What actions have in common, each once. Mostly it is the very same objects: those need no comparing."""

    def __init__(self) -> None:
        self.values: list[_Common] = []
        self._by_identity: dict[tuple[str, int], int] = {}
        self._by_value: dict[bytes, int] = {}
        self._alive: list[Permissions] = []

    def number(self, handler: str, permissions: Permissions) -> int:
        identity = (handler, id(permissions))
        known = self._by_identity.get(identity)
        if known is None:
            common = _Common(handler, permissions)
            known = self._by_value.setdefault(msgspec.msgpack.encode(common), len(self.values))
            if known == len(self.values):
                self.values.append(common)
            self._by_identity[identity] = known
            self._alive.append(permissions)  # or another object could get the same identity
        return known


class _Numbers:
    """Lists of numbers, by number, gathered as pairs: as lists of their own they would take ten times the memory."""

    def __init__(self) -> None:
        self._keys = array("q")
        self._values = array("q")

    def add(self, key: int, value: int) -> None:
        self._keys.append(key)
        self._values.append(value)

    def parts(self, count: int) -> tuple[bytes, bytes]:
        """Where the list of each of `count` keys begins, in bytes, and all lists, in the order of adding."""
        counts = array("q", [0]) * (count + 1)
        for key in self._keys:
            counts[key + 1] += 1
        begins = array("q", accumulate(counts))
        data = array("q", self._values)
        free = array("q", begins)
        for key, value in zip(self._keys, self._values, strict=True):
            data[free[key]] = value
            free[key] += 1
        return array("q", (begin * data.itemsize for begin in begins)).tobytes(), data.tobytes()
