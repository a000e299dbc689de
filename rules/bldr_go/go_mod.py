"""go.mod and go.sum: which versions of which modules a build uses."""

import re
from typing import NamedTuple

from bldr.api import LockError

_SUM = re.compile(r"(\S+) (v\S+?)(/go\.mod)? (h1:[A-Za-z0-9+/]{43}=)")
_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+.*)?")


class Module(NamedTuple):
    """A module as it is fetched: `path` is what import paths begin with, `source` what it is fetched as."""

    path: str
    source: str
    version: str
    digest: str

    @property
    def stem(self) -> str:
        """The directory at the top of its archive."""
        return f"{self.source}@{self.version}"


class GoMod(NamedTuple):
    """What a go.mod says. `replaced` maps a module and its version, "" for any, to another one and its version, "" for
    a directory."""

    go_version: str
    required: dict[str, str]
    replaced: dict[tuple[str, str], tuple[str, str]]


def read_sums(text: str) -> dict[tuple[str, str], str]:
    """Module and version to the digest of the archive. Raises LockError."""
    sums = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = _SUM.fullmatch(line.strip())
        if match is None:
            raise LockError("this is no line of a go.sum", "go mod tidy writes the file", line=number)
        module, version, is_manifest, digest = match.groups()
        if not is_manifest:
            sums[module, version] = digest
    return sums


def read_go_mod(text: str) -> GoMod:
    """The directives that decide what is built; what else a go.mod says is left to the go command."""
    version, required, replaced = "", {}, {}
    block = ""
    for line in text.splitlines():
        words = line.partition("//")[0].replace('"', "").split()
        if not words:
            continue
        if block and words == [")"]:
            block = ""
        elif not block and words[1:] == ["("]:
            block = words[0]
        else:
            verb, *rest = (block, *words) if block else words
            if verb == "go" and rest:
                version = rest[0]
            elif verb == "require" and len(rest) == 2:
                required[rest[0]] = rest[1]
            elif verb == "replace" and "=>" in rest:
                at = rest.index("=>")
                to = rest[at + 1 :]
                replaced[rest[0], rest[1] if at == 2 else ""] = (to[0], to[1] if len(to) > 1 else "")
    return GoMod(version, required, replaced)


def modules(sums: dict[tuple[str, str], str], go_mod: GoMod) -> tuple[Module, ...]:
    """The modules of a build: in the versions that go.mod requires, which since Go 1.17 names all of them; of others
    the latest whose archive go.sum knows. Raises LockError."""
    latest: dict[str, str] = {}
    for module, version in sums:
        if module not in latest or _order(version) > _order(latest[module]):
            latest[module] = version
    chosen = {**latest, **go_mod.required}
    replaced = {
        path: to
        for path, version in chosen.items()
        if (to := go_mod.replaced.get((path, version)) or go_mod.replaced.get((path, "")))
    }
    # What only stands in for others is no module of its own; a module may stand in for another version of itself.
    stands_in = {source for source, version in replaced.values() if version} - {*go_mod.required, *replaced}
    found = []
    for path in sorted(chosen.keys() - stands_in):
        source, version = replaced.get(path, (path, chosen[path]))
        if not version:
            continue  # a directory of the workspace, which has targets of its own
        digest = sums.get((source, version))
        if digest is not None:
            found.append(Module(path, source, version, digest))
        elif path in latest or path in replaced:
            raise LockError(f'go.sum has no digest of "{source}" {version}', "go mod tidy writes it")
    return tuple(found)


def escaped(text: str) -> str:
    """As proxies spell paths and versions, for file systems that take A for a."""
    return re.sub(r"[A-Z]", lambda match: f"!{match[0].lower()}", text)


def _order(version: str) -> tuple[object, ...]:
    """Semantic versions in their order: a release comes after what leads to it, and numbers are compared as such."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return (0, 0, 0, 0, ())
    major, minor, patch, pre = match.groups()
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in (pre or "").split("."))
    return (int(major), int(minor), int(patch), 0 if pre else 1, parts)
