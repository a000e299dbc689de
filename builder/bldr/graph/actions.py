"""The action graph: what the analysis of targets came to. Every output has one owner."""

from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import msgspec

from bldr.api.actions import Action, Artifact
from bldr.api.labels import Label
from bldr.api.providers import Executable, Files
from bldr.api.spec import NetworkPolicy, ResourceLimits
from bldr.api.toolchains import Toolchain

LOCK_NAME = ".lock"
WORK_NAME = ".bldr-work"
RESERVED_NAMES = (LOCK_NAME, WORK_NAME)
"""What the builder keeps for itself at the top of the folder of outputs; no output may lie there."""


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """What a target's settings ask for its actions, merged from command line to default."""

    sandboxed: bool = True
    network: NetworkPolicy = NetworkPolicy()
    resources: ResourceLimits = ResourceLimits()
    root: bool = False
    devices: tuple[str, ...] = ()
    on_violation: Literal["deny", "kill"] = "deny"


class TestPart(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a test an action does: the shard of the run, both counted from 1, and without shards 0 of 0.

    It may be tried `attempts` times until it passes. `stem` is the directory of everything that it leaves.
    """

    __test__ = False

    stem: str
    run: int = 1
    runs: int = 1
    shard: int = 0
    shards: int = 0
    attempts: int = 1
    always: str = ""  # the tag for whose sake its result is neither used again nor stored

    @property
    def words(self) -> str:
        """What sets it apart from the other parts; "" where it is all there is."""
        words = [f"shard {self.shard} of {self.shards}"] if self.shards else []
        words += [f"run {self.run} of {self.runs}"] if self.runs > 1 else []
        return ", ".join(words)


class ActionNode(msgspec.Struct, frozen=True, kw_only=True):
    """One action in its place: whose it is, what serves it, and which other actions must be done before."""

    index: int
    label: Label
    action: Action
    handler: str
    toolchains: tuple[Toolchain, ...]
    env: tuple[tuple[str, str], ...]
    permissions: Permissions
    deps: tuple[int, ...]
    optional_outputs: frozenset[str] = frozenset()
    exclusive: bool = False  # nothing else runs while it does
    test: TestPart | None = None

    @property
    def name(self) -> str:
        """What identifies the action from build to build: its first output."""
        return self.action.outputs[0].path


class AnalyzedTarget(msgspec.Struct, frozen=True):
    """A target's providers, by type."""

    label: Label
    providers: dict[type, msgspec.Struct]
    actions: int


class ActionGraph:
    """Nodes in an order in which every action comes after those that it needs."""

    def __init__(self, env: dict[str, str] | None = None) -> None:
        self.env = env or {}
        """What the configuration adds to the environment of every action."""
        self.nodes: list[ActionNode] = []
        self.targets: dict[Label, AnalyzedTarget] = {}
        self._owners: dict[str, int] = {}

    def add(self, node: ActionNode) -> None:
        self.nodes.append(node)
        for output in node.action.outputs:
            self._owners[output.path] = node.index

    def owner(self, path: str) -> ActionNode | None:
        """The action that makes the output at `path`, or None."""
        index = self._owners.get(path)
        return None if index is None else self.nodes[index]

    def producers(self, artifacts: Iterable[Artifact]) -> tuple[int, ...]:
        """The indexes of the actions that make `artifacts`; sources have none."""
        owners = self._owners
        return tuple(sorted({owners[artifact.path] for artifact in artifacts if artifact.owner is not None}))

    def needed(self, indexes: Iterable[int]) -> Sequence[ActionNode]:
        """The nodes of `indexes` and all that they need, in order."""
        wanted = set(indexes)
        for index in range(len(self.nodes) - 1, -1, -1):
            if index in wanted:
                wanted.update(self.nodes[index].deps)
        return [self.nodes[index] for index in sorted(wanted)]


def blocked(nodes: Iterable[ActionNode], failed: Collection[int]) -> dict[int, int]:
    """For each node that needs one of `failed`, the first that it needs; `nodes` are in order, with all they need."""
    found: dict[int, int] = {}
    if failed:
        for node in nodes:
            broken = [dep if dep in failed else found[dep] for dep in node.deps if dep in failed or dep in found]
            if broken:
                found[node.index] = min(broken)
    return found


def requested_files(target: AnalyzedTarget) -> tuple[Artifact, ...]:
    """What a person gets for naming the target: its files, and its program with all that it needs at run time."""
    wanted: dict[Artifact, None] = {}
    for provider in target.providers.values():
        if isinstance(provider, Files):
            wanted.update(dict.fromkeys(provider.files))
        elif isinstance(provider, Executable):
            wanted.update(dict.fromkeys((provider.program, *provider.runtime)))
    return tuple(artifact for artifact in wanted if not artifact.is_source)
