"""The action graph: what the analysis of targets came to. Every output has one owner."""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from bldr.api.actions import Action, Artifact
from bldr.api.labels import Label
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
    test_run: int = 0  # counts from 1 for the runs of a test; 0: not a test

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
