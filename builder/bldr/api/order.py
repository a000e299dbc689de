"""How what several deps offer becomes one list, in the order that searching or linking needs."""

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def first_of_each(groups: Iterable[Iterable[T]]) -> tuple[T, ...]:
    """All elements once, where they came first: search order."""
    return tuple(dict.fromkeys(element for group in groups for element in group))


def last_of_each(groups: Iterable[Iterable[T]]) -> tuple[T, ...]:
    """All elements once, where they came last: link order.

    Every group holds dependents before what they depend on and is closed (with an element comes all it needs), so
    whatever an element needs stands behind its last mention.
    """
    elements = [element for group in groups for element in group]
    return tuple(reversed(dict.fromkeys(reversed(elements))))
