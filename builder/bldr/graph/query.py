"""The query language: asks the target graph what an expression means, and answers with labels.

Graphs may be a hundred thousand targets deep, so every walk keeps its own stack.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from bldr.api.attributes import TargetAttributes
from bldr.api.errors import BldrError
from bldr.api.labels import Label
from bldr.graph.patterns import Patterns
from bldr.graph.query_syntax import (
    Call,
    Chain,
    Expression,
    Let,
    Pattern,
    PatternSet,
    QueryError,
    Token,
    Variable,
    parse,
    query_error,
)
from bldr.graph.suites import without_suites
from bldr.load.suggest import suggest

__all__ = ["QueriedGraph", "QueryError", "attribute_text", "kind_of", "query"]


class QueriedTarget(Protocol):
    """What a query asks of a target (`bldr.load`'s has more)."""

    attributes: TargetAttributes
    files: dict[str, tuple[str | Label, ...]]
    labels: dict[str, tuple[Label, ...]]


class QueriedGraph(Protocol):
    """What a query asks of the graph."""

    def labels(self) -> Sequence[Label]: ...

    def target(self, label: Label) -> QueriedTarget: ...

    def deps(self, label: Label) -> tuple[Label, ...]: ...

    def rdeps(self, label: Label) -> tuple[Label, ...]: ...


def query(graph: QueriedGraph, text: str, package: str = "") -> tuple[Label, ...]:
    """The labels that `text` means for somebody who stands in `package`: sorted, but a path from its start to its end.

    Raises QueryError.
    """
    expression = parse(text)
    evaluation = _Evaluation(graph, text, package)
    found = evaluation.value(expression, {})
    if isinstance(expression, Call) and expression.name == "somepath":
        return tuple(found)
    return tuple(sorted(found))


_Labels = dict[Label, None]
"""A set that remembers its order, for the sake of paths."""


class _Evaluation:
    """Owns what one query needs of the graph more than once."""

    def __init__(self, graph: QueriedGraph, text: str, package: str) -> None:
        self._graph = graph
        self._text = text
        self._patterns = Patterns(graph, package)

    def value(self, expression: Expression, variables: dict[str, _Labels]) -> _Labels:
        if isinstance(expression, Pattern):
            return dict.fromkeys(self._matched(expression.token))
        if isinstance(expression, Variable):
            return self._variable(expression.token, variables)
        if isinstance(expression, PatternSet):
            return self._set(expression)
        if isinstance(expression, Let):
            bound = {**variables, expression.name: self.value(expression.value, variables)}
            return self.value(expression.body, bound)
        if isinstance(expression, Chain):
            return self._chain(expression, variables)
        return self._call(expression, variables)

    def _variable(self, token: Token, variables: dict[str, _Labels]) -> _Labels:
        name = token.text[1:]
        if name not in variables:
            raise query_error(self._text, token.column, f'no variable "{name}"', suggest(name, list(variables)))
        return variables[name]

    def _set(self, expression: PatternSet) -> _Labels:
        found: _Labels = {}
        for taken_away, token in expression.patterns:
            for label in self._matched(token):
                if taken_away:
                    found.pop(label, None)
                else:
                    found[label] = None
        return found

    def _chain(self, expression: Chain, variables: dict[str, _Labels]) -> _Labels:
        found = dict(self.value(expression.first, variables))
        for operator, operand in expression.rest:
            other = self.value(operand, variables)
            if operator == "+":
                found.update(other)
            else:
                found = {label: None for label in found if (label in other) == (operator == "^")}
        return found

    def _call(self, call: Call, variables: dict[str, _Labels]) -> _Labels:
        words = [argument for argument in call.arguments if isinstance(argument, Token)]
        sets = [self.value(argument, variables) for argument in call.arguments if not isinstance(argument, Token)]
        graph = self._graph
        if call.name == "deps":
            return _closure(sets[0], graph.deps, _depth(words))
        if call.name == "rdeps":
            universe = _closure(sets[0], graph.deps)
            start = [label for label in sets[1] if label in universe]
            return _closure(
                start, lambda label: [user for user in graph.rdeps(label) if user in universe], _depth(words)
            )
        if call.name == "allpaths":
            below = _closure(sets[0], graph.deps)
            ends = [label for label in sets[1] if label in below]
            return _closure(ends, lambda label: [user for user in graph.rdeps(label) if user in below])
        if call.name == "somepath":
            return _path(sets[0], sets[1], graph.deps)
        if call.name == "labels":
            return self._named(words[0], sets[0])
        if call.name == "attr":
            return self._with_attribute(words[0], self._regex(words[1]), sets[0])
        if call.name == "tests":
            found = without_suites(graph, sets[0])
            return {label: None for label in found if graph.target(label).attributes.type == "test"}
        regex = self._regex(words[0])
        text_of = (lambda label: kind_of(graph.target(label))) if call.name == "kind" else str
        return {label: None for label in sets[0] if regex.search(text_of(label))}

    def _regex(self, token: Token) -> re.Pattern[str]:
        try:
            return re.compile(token.text)
        except re.error as error:
            column = token.column + (error.pos or 0)
            raise query_error(self._text, column, f"not a regular expression: {error.msg}") from error

    def _with_attribute(self, name: Token, regex: re.Pattern[str], among: _Labels) -> _Labels:
        found: _Labels = {}
        known: set[str] = set()
        for label in among:
            target = self._graph.target(label)
            fields = target.attributes.__struct_fields__
            known.update(fields)
            if name.text in fields and regex.search(attribute_text(target, name.text)):
                found[label] = None
        self._check_attribute(name, known)
        return found

    def _named(self, name: Token, among: _Labels) -> _Labels:
        found: _Labels = {}
        known: set[str] = set()
        for label in among:
            target = self._graph.target(label)
            known.update(target.attributes.__struct_fields__)
            found.update(dict.fromkeys(target.labels.get(name.text, ())))
            found.update(dict.fromkeys(file for file in target.files.get(name.text, ()) if isinstance(file, Label)))
        self._check_attribute(name, known)
        return found

    def _check_attribute(self, name: Token, known: set[str]) -> None:
        if known and name.text not in known:
            hint = suggest(name.text, sorted(known)) or "attributes are spelt as in a Builderfile"
            raise query_error(self._text, name.column, f'none of the targets has an attribute "{name.text}"', hint)

    def _matched(self, token: Token) -> list[Label]:
        """The targets that a pattern means; a pattern that means none is a mistake."""
        try:
            return self._patterns.match(token.text)
        except BldrError as error:
            raise query_error(self._text, token.column, error.message, error.hint) from error


def kind_of(target: QueriedTarget) -> str:
    """What `kind` matches: the type and, where there is one, the language: `executable c`, `command`."""
    attributes = target.attributes
    return f"{attributes.type} {attributes.language}" if attributes.language else attributes.type


def attribute_text(target: QueriedTarget, name: str) -> str:
    """What `attr` matches: `[//a:b, src/c.c]` for lists, with globs expanded and labels complete, else the value."""
    value = target.labels.get(name) or target.files.get(name) or getattr(target.attributes, name)
    if isinstance(value, tuple):
        return f"[{', '.join(str(element) for element in value)}]"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _depth(words: list[Token]) -> int | None:
    return int(words[0].text) if words else None


def _closure(start: Iterable[Label], edges: Callable[[Label], Iterable[Label]], depth: int | None = None) -> _Labels:
    """All that can be reached from `start` in at most `depth` steps, breadth first."""
    found: _Labels = dict.fromkeys(start)
    frontier = list(found)
    steps = 0
    while frontier and (depth is None or steps < depth):
        steps += 1
        reached = []
        for label in frontier:
            for other in edges(label):
                if other not in found:
                    found[other] = None
                    reached.append(other)
        frontier = reached
    return found


def _path(start: _Labels, ends: _Labels, edges: Callable[[Label], Iterable[Label]]) -> _Labels:
    """A shortest path from one of `start` to one of `ends`, in its order; empty where there is none."""
    came_from: dict[Label, Label | None] = dict.fromkeys(start)
    queue = list(came_from)
    for label in queue:  # grows while the walk goes on
        if label in ends:
            path = [label]
            while (before := came_from[path[-1]]) is not None:
                path.append(before)
            return dict.fromkeys(reversed(path))
        for dep in edges(label):
            if dep not in came_from:
                came_from[dep] = label
                queue.append(dep)
    return {}
