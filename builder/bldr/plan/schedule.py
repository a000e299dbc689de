"""Priorities: the action with the longest remaining path goes first."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from bldr.graph.actions import ActionNode

_UNKNOWN_S = 0.1
_UNKNOWN_S_PER_BYTE = 1e-5
_UNKNOWN_AT_MOST_S = 10.0
"""Stand for the duration of an action that never ran: about what a compiler takes for its source."""


def remaining_path_s(
    nodes: Sequence[ActionNode], durations_s: Mapping[str, float], size_bytes: Callable[[str], int] = lambda _path: 0
) -> dict[int, float]:
    """For each node, the seconds from its start to the end of the longest chain that waits for it.

    `nodes` come in an order in which every node follows those that it needs; `size_bytes` knows the sizes of sources.
    """
    guessed_s = guesses_s([node for node in nodes if node.name not in durations_s], size_bytes)
    remaining = {node.index: 0.0 for node in nodes}
    for node in reversed(nodes):
        known_s = durations_s.get(node.name)
        remaining[node.index] += guessed_s[node.index] if known_s is None else known_s
        for dep in node.deps:
            if remaining[dep] < remaining[node.index]:
                remaining[dep] = remaining[node.index]
    return remaining


def guesses_s(nodes: Sequence[ActionNode], size_bytes: Callable[[str], int]) -> dict[int, float]:
    """How long actions may take that never ran, by index: longest those that have much to read which no other reads."""
    sources = {node.index: [each.path for each in node.action.inputs if each.is_source] for node in nodes}
    readers = Counter(path for paths in sources.values() for path in paths)
    share_bytes = {path: size_bytes(path) / count for path, count in readers.items()}
    return {
        index: min(_UNKNOWN_S + _UNKNOWN_S_PER_BYTE * sum(share_bytes[path] for path in paths), _UNKNOWN_AT_MOST_S)
        for index, paths in sources.items()
    }
