"""Priorities: the action with the longest remaining path goes first."""

from collections.abc import Mapping, Sequence

from bldr.graph.actions import ActionNode

_UNKNOWN_S = 0.1
"""Stands for the duration of an action that never ran."""


def remaining_path_s(nodes: Sequence[ActionNode], durations_s: Mapping[str, float]) -> dict[int, float]:
    """For each node, the seconds from its start to the end of the longest chain that waits for it.

    `nodes` come in an order in which every node follows those that it needs.
    """
    remaining = {node.index: 0.0 for node in nodes}
    for node in reversed(nodes):
        remaining[node.index] += durations_s.get(node.name, _UNKNOWN_S)
        for dep in node.deps:
            if remaining[dep] < remaining[node.index]:
                remaining[dep] = remaining[node.index]
    return remaining
