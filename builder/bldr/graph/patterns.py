"""Target patterns: `//...`, `//pkg/...`, `//pkg:all`, `:name`, and `-` to take away."""

from collections.abc import Sequence
from typing import Protocol

from bldr.api.errors import BldrError
from bldr.api.labels import Label, parse_label
from bldr.graph.targets import TargetGraph
from bldr.load.suggest import suggest


class _Named(Protocol):
    def labels(self) -> Sequence[Label]: ...


class Patterns:
    """Reads patterns for somebody who stands in `package`."""

    def __init__(self, graph: _Named, package: str) -> None:
        self._package = package
        self._packages: dict[tuple[str, str], list[Label]] = {}
        for label in graph.labels():
            self._packages.setdefault((label.repository, label.package), []).append(label)

    def match(self, pattern: str) -> list[Label]:
        """The targets that a pattern means. Raises BldrError for one that means none, or is none."""
        repository, below, name = self.read(pattern)
        if name == "...":
            found = [
                label
                for (owner, package), labels in self._packages.items()
                if owner == repository and (not below or package == below or package.startswith(f"{below}/"))
                for label in labels
            ]
        else:
            found = self._packages.get((repository, below), [])
        if not is_wildcard(name):
            wanted = Label(repository, below, name)
            if wanted in found:
                return [wanted]
            known = [str(label) for labels in self._packages.values() for label in labels]
            hint = suggest(str(wanted), known) or "bldr query //... lists the targets"
            raise BldrError(f'no target "{wanted}"', hint)
        if not found and (below or repository or name != "..."):  # a workspace without targets is no mistake
            raise BldrError(f'the pattern "{pattern}" matches no target', "bldr query //... lists the targets")
        return found

    def read(self, pattern: str) -> tuple[str, str, str]:
        """Repository, package, and a name, `all` or `...`."""
        text = pattern
        if not text.startswith(("//", "@", ":")):
            text = text.removeprefix("./").rstrip("/")  # as shells complete the names of directories
            head, colon, name = text.partition(":")
            package = "/".join(part for part in (self._package, head) if part)
            # A word alone is a package below or, where there is none of that name, a target of this one.
            text = f":{head}" if self._is_own_target(text) else f"//{package}{colon}{name}"
        at, slashes, rest = text.partition("//") if text.startswith("@") else ("", "//", text.removeprefix("//"))
        if slashes and (rest == "..." or rest.endswith("/...")):
            return at[1:], rest[:-3].rstrip("/"), "..."
        if text.endswith(":*"):
            text = text[:-1] + "all"
        try:
            return parse_label(text, self._package)
        except ValueError as error:
            raise BldrError(str(error)) from error

    def _is_own_target(self, text: str) -> bool:
        below = f"{self._package}/{text}".lstrip("/")
        own = self._packages.get(("", self._package), [])
        return ("", below) not in self._packages and Label("", self._package, text) in own


def is_wildcard(name: str) -> bool:
    """Whether the name of a pattern stands for many targets."""
    return name in ("...", "all")


def expand_patterns(graph: TargetGraph, patterns: Sequence[str], package: str) -> tuple[Label, ...]:
    """The labels that `patterns` mean for somebody who stands in `package`, in a stable order; none: all there are.

    Targets tagged `manual` are taken only by their own name. Raises BldrError for a pattern that matches nothing.
    """
    reader = Patterns(graph, package)
    chosen: dict[Label, None] = {}
    for pattern in patterns or ["//..."]:
        text = pattern.removeprefix("-")
        many = is_wildcard(reader.read(text)[2])
        for label in reader.match(text):
            if pattern.startswith("-"):
                chosen.pop(label, None)
            elif not many or "manual" not in graph.target(label).attributes.tags:
                chosen[label] = None
    return tuple(chosen)


def repositories_of(patterns: Sequence[str]) -> set[str]:
    """The external sources that patterns name."""
    stripped = (pattern.removeprefix("-") for pattern in patterns)
    return {pattern[1:].partition("//")[0] for pattern in stripped if pattern.startswith("@")}
