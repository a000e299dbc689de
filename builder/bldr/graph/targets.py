"""The target graph: who names whom, with every label resolved, visible and free of cycles."""

from collections.abc import Iterable, Sequence

from bldr.api.errors import Problem, WorkspaceError
from bldr.api.labels import Label
from bldr.load.suggest import suggest
from bldr.load.targets import Target
from bldr.load.workspace import Workspace


class TargetGraph:
    """Targets and the edges between them. `order` has every target after all that it depends on."""

    def __init__(self, targets: dict[Label, Target], edges: dict[Label, tuple[Label, ...]], order: list[Label]) -> None:
        self._targets = targets
        self._edges = edges
        self.order = order
        self._reverse: dict[Label, list[Label]] | None = None

    def labels(self) -> Sequence[Label]:
        return sorted(self._targets)

    def target(self, label: Label) -> Target:
        return self._targets[label]

    def deps(self, label: Label) -> tuple[Label, ...]:
        return self._edges[label]

    def rdeps(self, label: Label) -> tuple[Label, ...]:
        if self._reverse is None:
            self._reverse = {name: [] for name in self._targets}
            for user in self.order:
                for dep in self._edges[user]:
                    self._reverse[dep].append(user)
        return tuple(self._reverse[label])


def build_target_graph(workspace: Workspace, repositories: Iterable[str] = ()) -> TargetGraph:
    """Resolve every label of every target; external packages are loaded as somebody refers to them.

    `repositories` are external sources whose targets all belong to the graph, because a pattern may mean them.
    Raises WorkspaceError with all that is wrong: missing targets, targets that may not be seen, a cycle.
    """
    problems: list[Problem] = []
    targets = {target.label: target for target in workspace.targets}
    for repository in repositories:
        targets.update((target.label, target) for target in workspace.targets_of(repository))
    edges: dict[Label, tuple[Label, ...]] = {}
    waiting = list(targets.values())
    for target in waiting:  # grows while external packages come in
        resolved: dict[Label, None] = {}
        for attribute, label in _references(target):
            found = targets.get(label) or workspace.target(label)
            if found is None:
                problems.append(_missing(workspace, target, attribute, label))
                continue
            if not found.visible_from(target.label):
                problems.append(_invisible(target, attribute, found))
            if label not in targets:
                targets[label] = found
                waiting.append(found)
            resolved[label] = None
        edges[target.label] = tuple(resolved)
    if problems:
        raise WorkspaceError(problems)
    return TargetGraph(targets, edges, _topological_order(targets, edges))


def _references(target: Target) -> Iterable[tuple[str, Label]]:
    for attribute, labels in target.labels.items():
        for label in labels:
            yield attribute, label
    for attribute, files in target.files.items():
        for file in files:
            if isinstance(file, Label):
                yield attribute, file


def _missing(workspace: Workspace, target: Target, attribute: str, label: Label) -> Problem:
    place = target.place(attribute, str(label))
    package = workspace.packages.get((label.repository, label.package))
    if label.repository and label.repository not in workspace.externals:
        hint = suggest(label.repository, list(workspace.externals)) or f"declare it: [external.{label.repository}]"
        return Problem(*place, f'target "{target.label}": no external source "{label.repository}"', hint)
    if package is None:
        known = [path for repository, path in workspace.packages if repository == label.repository]
        message = f'target "{target.label}": no package "//{label.package}", named by {attribute}'
        return Problem(*place, message, suggest(label.package, known))
    names = [other.name for other in package.targets]
    message = f'target "{target.label}": no target "{label.name}" in "//{label.package}", named by {attribute}'
    return Problem(*place, message, suggest(label.name, names))


def _invisible(target: Target, attribute: str, found: Target) -> Problem:
    place = target.place(attribute, str(found.label))
    message = f'target "{target.label}": "{found.label}" is not visible from "//{target.label.package}"'
    file = found.place()[0]
    return Problem(*place, message, f'add visibility = ["//{target.label.package}"] to it in {file}')


def _topological_order(targets: dict[Label, Target], edges: dict[Label, tuple[Label, ...]]) -> list[Label]:
    """Depth first without recursion: graphs may be a hundred thousand targets deep."""
    order: list[Label] = []
    done: set[Label] = set()
    for start in targets:
        if start in done:
            continue
        path: dict[Label, None] = {start: None}
        stack = [(start, iter(edges[start]))]
        while stack:
            label, deps = stack[-1]
            dep = next(deps, None)
            if dep is None:
                stack.pop()
                del path[label]
                done.add(label)
                order.append(label)
            elif dep in path:
                raise _cycle(targets, list(path), dep)
            elif dep not in done:
                path[dep] = None
                stack.append((dep, iter(edges[dep])))
    return order


def _cycle(targets: dict[Label, Target], path: list[Label], again: Label) -> WorkspaceError:
    cycle = [*path[path.index(again) :], again]
    lines = "\n".join(f"    {'-> ' if index else '   '}{label}" for index, label in enumerate(cycle))
    last = targets[cycle[-2]]
    message = f"the targets depend on each other in a cycle:\n{lines}"
    return WorkspaceError([Problem(*targets[again].place(), message, f'take one of them out, for example "{again}" '
                                   f"from the deps of \"{last.label}\"")])  # fmt: skip
