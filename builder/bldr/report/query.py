"""Answers to queries as text, JSON or a graph for Graphviz; the order of labels is stable in each."""

from collections.abc import Sequence

import msgspec

from bldr.api.labels import Label
from bldr.graph.query import QueriedGraph, kind_of


def as_text(labels: Sequence[Label]) -> str:
    """One label a line."""
    return "".join(f"{label}\n" for label in labels)


def as_json(graph: QueriedGraph, labels: Sequence[Label]) -> str:
    """A list of objects: label, kind, tags, and the deps of each (those outside the answer too)."""
    answer = []
    for label in labels:
        target = graph.target(label)
        answer.append(
            {
                "label": str(label),
                "type": target.attributes.type,
                "language": target.attributes.language,
                "kind": kind_of(target),
                "description": target.attributes.description,
                "tags": list(target.attributes.tags),
                "deps": [str(dep) for dep in sorted(graph.deps(label))],
            }
        )
    return msgspec.json.format(msgspec.json.encode(answer), indent=2).decode() + "\n"


def as_dot(graph: QueriedGraph, labels: Sequence[Label]) -> str:
    """The answer as a directed graph in the DOT language, with the edges between its own targets."""
    among = set(labels)
    lines = ["digraph targets {", "  node [shape=box];"]
    for label in sorted(among):
        lines.append(f"  {_quoted(str(label))};")
        lines.extend(
            f"  {_quoted(str(label))} -> {_quoted(str(dep))};" for dep in sorted(graph.deps(label)) if dep in among
        )
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
