"""Who may depend on a target: `visibility = "public" | "private" | ["//package", "//below/...", ...]`."""

from collections.abc import Sequence

import msgspec

from bldr.api.labels import parse_label
from bldr.load.suggest import suggest


class Visibility(msgspec.Struct, frozen=True):
    """`packages` are pairs of repository and package, `trees` the same with all packages below; else nobody outside."""

    public: bool = False
    packages: frozenset[tuple[str, str]] = frozenset()
    trees: tuple[tuple[str, str], ...] = ()

    def includes(self, repository: str, package: str) -> bool:
        if self.public or (repository, package) in self.packages:
            return True
        return any(
            repository == tree_repository and (not tree or package == tree or package.startswith(tree + "/"))
            for tree_repository, tree in self.trees
        )


PUBLIC = Visibility(public=True)
PRIVATE = Visibility()


class VisibilityError(ValueError):
    """An entry that says nothing; `index` is its place in the list, None for a text that stands alone."""

    def __init__(self, message: str, hint: str, index: int | None) -> None:
        super().__init__(message)
        self.hint = hint
        self.index = index


def parse_visibility(value: str | Sequence[str], repository: str = "") -> Visibility:
    """What a target's `visibility` means in the packages of `repository`. Raises VisibilityError."""
    if value == "private":
        return PRIVATE
    if value == "public":
        return PUBLIC
    if isinstance(value, str):
        hint = suggest(value, ("public", "private"))
        hint = hint or (f'write ["{value}"]' if value.startswith(("//", "@")) else _FORMS)
        raise VisibilityError(f'"{value}" is no visibility', hint, None)
    packages, trees = set(), []
    for index, text in enumerate(value):
        if text in ("public", "private"):
            raise VisibilityError(f'"{text}" cannot stand in a list', f'write visibility = "{text}"', index)
        is_tree = text.endswith("/...")
        head = text.removesuffix("...") if is_tree else text
        named = None
        if "..." not in head:
            named = _package_of(head.removesuffix("/") if is_tree and not head.endswith("//") else head, repository)
        if named is None:
            raise VisibilityError(f'"{text}" is no package', _FORMS, index)
        if is_tree:
            trees.append(named)
        else:
            packages.add(named)
    return Visibility(False, frozenset(packages), tuple(trees))


_FORMS = 'visibility is "public", "private" or a list of packages such as ["//app", "//lib/..."]'


def _package_of(text: str, repository: str) -> tuple[str, str] | None:
    """The package that `//package` or `@repository//package` names; None for anything else."""
    if "//" not in text:
        return None
    try:
        label = parse_label(f"{text}:_", repository=repository)
    except ValueError:
        return None
    return label.repository, label.package
