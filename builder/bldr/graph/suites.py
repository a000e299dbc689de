"""Suites: targets that stand for the tests that they name, wherever somebody asks for them."""

from collections.abc import Iterable
from typing import Protocol

from bldr.api.attributes import TargetAttributes
from bldr.api.errors import BldrError
from bldr.api.labels import Label

SUITE = "suite"


class _Target(Protocol):
    attributes: TargetAttributes
    labels: dict[str, tuple[Label, ...]]


class _Graph(Protocol):
    def target(self, label: Label) -> _Target: ...


def without_suites(graph: _Graph, labels: Iterable[Label]) -> tuple[Label, ...]:
    """`labels` with every suite replaced by its tests, those of suites in it too: each once, in a stable order.

    Raises BldrError for a suite of something else.
    """
    found: dict[Label, None] = {}
    seen: set[Label] = set()
    waiting = list(reversed(tuple(labels)))
    while waiting:
        label = waiting.pop()
        if label in seen:
            continue
        seen.add(label)
        target = graph.target(label)
        if target.attributes.type != SUITE:
            found[label] = None
            continue
        tests = target.labels.get("tests", ())
        for test in tests:
            if graph.target(test).attributes.type not in ("test", SUITE):
                raise BldrError(f'the suite "{label}" names "{test}", which is no test', "a suite has tests and suites")
        waiting += reversed(tests)
    return tuple(found)
