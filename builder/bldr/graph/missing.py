"""Missing inputs: guesses from what a failed command printed which file it wanted, and says which line to add.

The sandbox makes an undeclared file not exist; the command can only say "No such file or directory". Whoever reads
that needs to know whose file it is.
"""

import posixpath
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from bldr.api.labels import Label

if TYPE_CHECKING:
    from bldr.graph.targets import TargetGraph

_NOT_THERE = re.compile(
    r"""(?:^|[\s'"`:(])(?P<before>[^\s'"`:()]+)['"`]?:\s*(?:\d+:\s*)?No[ ]such[ ]file[ ]or[ ]directory
    |   No[ ]such[ ]file[ ]or[ ]directory:\s*['"](?P<after>[^'"]+)['"]
    |   ['"](?P<clang>[^'"\n]+)['"][ ]file[ ]not[ ]found
    |   cannot[ ]open[ ](?P<dash>[^'"\s]+):[ ]No[ ]such[ ]file
    |   (?:cannot|can't|could[ ]not|unable[ ]to)[ ](?:open|find|access|stat|read)[^'"`\n]{0,40}
        ['"`](?P<quoted>[^'"`\n]+)
    """,
    re.MULTILINE | re.VERBOSE,
)
_MOST_NAMES = 20


def wanted_files(log: str) -> list[str]:
    """The file names that the log says are not there, in order."""
    found: dict[str, None] = {}
    for match in _NOT_THERE.finditer(log):
        name = match[match.lastgroup or "before"]
        found[posixpath.normpath(name.removeprefix("/build/"))] = None
        if len(found) == _MOST_NAMES:
            break
    return list(found)


def missing_input_hint(
    graph: "TargetGraph",
    label: Label,
    log: str,
    declared: Iterable[str],
    maker: Callable[[str], Label | None],
    exists: Callable[[str], bool],
) -> str:
    """What to add to the target, or "" where the log names no file of the workspace.

    `maker` gives the target that makes an output, `exists` whether a source file is there; both are asked tree paths.
    """
    names = wanted_files(log)
    if not names:
        return ""
    place = graph.target(label).place()
    where = f"{place[0]}:{place[1]}"
    headers = _header_owners(graph)
    known = set(declared)
    for name in names:
        for path in _candidates(name, label, headers):
            if path in known:
                continue
            tried = f'it tried to read "{path}"'
            owner = headers.get(path)
            made_by = maker(path)
            if made_by is not None and made_by != label:
                attribute = _list_for(graph, label, path)
                return f'{tried}, which "{made_by}" makes: add "{made_by}" to its {attribute} ({where})'
            if owner is not None and owner != label:
                return f'{tried}, which belongs to "{owner}": add "{owner}" to its deps ({where})'
            if exists(path):
                return f"{tried}, which it does not declare: {_declare(graph, label, path)} ({where})"
    return ""


def _declare(graph: "TargetGraph", label: Label, path: str) -> str:
    inside = f"{label.directory}/" if label.directory else ""
    if path.startswith(inside):
        return f'add "{path.removeprefix(inside)}" to its {_list_for(graph, label, path)}'
    return "it is in another package: name a target there that provides it"


def _list_for(graph: "TargetGraph", label: Label, path: str) -> str:
    is_header = path.endswith((".h", ".hh", ".hpp", ".hxx", ".inc", ".ipp"))
    return "headers" if is_header and hasattr(graph.target(label).attributes, "headers") else "sources"


def _header_owners(graph: "TargetGraph") -> dict[str, Label]:
    """Which target offers a source file as a header to those that depend on it."""
    owners: dict[str, Label] = {}
    for label in graph.order:
        for file in graph.target(label).files.get("headers", ()):
            if isinstance(file, str):
                owners.setdefault(file, label)
    return owners


def _candidates(name: str, label: Label, owners: dict[str, Label]) -> list[str]:
    """Tree paths that `name` may mean: from the root, from the package, or as the tail of a file that somebody owns."""
    if name.startswith(("/", "../")) or name in (".", ".."):
        return []
    found = [name, f"{label.directory}/{name}".lstrip("/")]
    tail = f"/{name}"
    found.extend(sorted(path for path in owners if path.endswith(tail)))
    return list(dict.fromkeys(found))
