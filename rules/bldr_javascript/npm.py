"""Lock files of npm: `package-lock.json`, versions 2 and 3.

https://docs.npmjs.com/cli/configuring-npm/package-lock-json
"""

import base64
import binascii
import json
import posixpath
from collections.abc import Mapping
from typing import Any, NamedTuple

from bldr.api import Locked, LockedTree, LockError, LockFile, Platform
from bldr_javascript.locks import REGISTRY

_PUBLIC = "https://registry.npmjs.org"
_MODULES = "node_modules/"
_VERSIONS = (2, 3)
_HASH_BYTES = {"sha512": 64, "sha384": 48, "sha256": 32}  # the strongest first
_SYSTEMS = {"linux": "linux", "macos": "darwin", "windows": "win32"}
_PROCESSORS = {"x86_64": "x64", "aarch64": "arm64", "armv7l": "arm", "i686": "ia32", "riscv64": "riscv64"}
_AGAIN = "run `npm install --package-lock-only` again"


class _Package(NamedTuple):
    """One entry of "packages"; `path` begins with node_modules/."""

    path: str
    name: str
    version: str
    table: Mapping[str, Any]

    @property
    def target(self) -> str:
        return self.path.removeprefix(_MODULES)


def read(lock: LockFile) -> tuple[Locked, ...]:
    registry = lock.env.get(REGISTRY, _PUBLIC).rstrip("/")
    return tuple(
        Locked(
            name=f"{package.name} {package.version}",
            urls=(_address(package, registry),),
            digest=_digest(package),
            path=package.path,
            strip_prefix="*",
        )
        for package in _packages(lock)
    )


def builderfile(packages: tuple[Locked, ...], tree: LockedTree, lock: LockFile) -> Mapping[str, Any]:
    del packages, tree  # the lock file says it all
    found = {package.path: package for package in _packages(lock)}
    needs = {path: _needed(package, found) for path, package in found.items()}
    targets = {}
    for members in _circles(needs):
        # Packages may need each other, targets may not: the first of a circle has the files of all.
        first, *others = sorted(members)
        outside = {path for member in members for path in needs[member]} - set(members)
        targets[found[first].target] = _library([found[path] for path in sorted(members)], outside, found)
        for other in others:
            targets[found[other].target] = _library([], {first}, found)
    return {"target": dict(sorted(targets.items()))}


def _library(members: list[_Package], needs: set[str], found: Mapping[str, _Package]) -> dict[str, Any]:
    sources = [f"{package.path}/**" for package in members]
    own = {package.path for package in members}
    sources += [
        f"!{path}/**"
        for path in sorted(found)
        if path not in own and any(path.startswith(f"{package.path}/{_MODULES}") for package in members)
    ]
    return {
        "type": "library",
        "language": "javascript",
        "node_modules": "node_modules",
        "sources": sources,
        "deps": [f":{found[path].target}" for path in sorted(needs)],
        "visibility": "public",
    }


def _packages(lock: LockFile) -> list[_Package]:
    """What is to be fetched for this machine."""
    try:
        content = json.loads(lock.text)
    except ValueError as error:
        raise LockError(f"it is no JSON: {error}", _AGAIN) from error
    if not isinstance(content, dict) or content.get("lockfileVersion") not in _VERSIONS:
        raise LockError("it is no package-lock.json of version 2 or 3", "write it with npm 7 or newer")
    found = []
    for path, table in sorted(content.get("packages", {}).items()):
        if f"/{_MODULES}" in path and not path.startswith(_MODULES):
            member = path.partition(f"/{_MODULES}")[0]
            raise LockError(
                f'"{path}" is a package of "{member}" alone', "give all members of the workspace one version"
            )
        if not path.startswith(_MODULES) or table.get("link") or table.get("inBundle"):
            continue  # the workspace's own, or part of another package's archive
        name = table.get("name") or path.rpartition(_MODULES)[2]
        version = table.get("version")
        if not isinstance(version, str):
            raise LockError(f'"{path}" has no version', _AGAIN)
        if _is_for(table, lock.platform):
            found.append(_Package(path, name, version, table))
    return found


def _is_for(table: Mapping[str, Any], platform: Platform) -> bool:
    """Whether a package is meant for this machine; https://docs.npmjs.com/cli/configuring-npm/package-json#os"""
    here = {
        "os": _SYSTEMS.get(platform.os, platform.os),
        "cpu": _PROCESSORS.get(platform.arch, platform.arch),
        "libc": "glibc" if platform.os == "linux" else "",
    }
    for key, value in here.items():
        named = table.get(key, [])
        wanted = {named} if isinstance(named, str) else set(named)
        positive = {word for word in wanted if not word.startswith("!")}
        if f"!{value}" in wanted or (positive and value not in positive and "any" not in positive):
            return False
    return True


def _address(package: _Package, registry: str) -> str:
    resolved = package.table.get("resolved")
    if resolved is None:
        base = package.name.rpartition("/")[2]
        return f"{registry}/{package.name}/-/{base}-{package.version}.tgz"
    if not isinstance(resolved, str) or not resolved.startswith("https://"):
        raise LockError(
            f'"{package.path}" comes from "{resolved}"', "only packages of a registry can be pinned by hash"
        )
    if resolved.startswith(f"{_PUBLIC}/"):
        return registry + resolved.removeprefix(_PUBLIC)
    return resolved


def _digest(package: _Package) -> str:
    """The strongest of the hashes; https://www.w3.org/TR/SRI/"""
    hashes = dict(word.partition("-")[::2] for word in str(package.table.get("integrity", "")).split())
    for algorithm, size in _HASH_BYTES.items():
        if encoded := hashes.get(algorithm):
            try:
                digest = base64.b64decode(encoded.partition("?")[0], validate=True)
            except binascii.Error:
                digest = b""
            if len(digest) != size:
                raise LockError(f'the integrity of "{package.path}" is no {algorithm}', _AGAIN)
            return f"{algorithm}:{digest.hex()}"
    weak = f" but {', '.join(hashes)}" if hashes else ""
    raise LockError(f'"{package.path}" is pinned by no hash that can be trusted{weak}', _AGAIN)


def _needed(package: _Package, found: Mapping[str, _Package]) -> set[str]:
    """The packages that this one finds by the names of its dependencies, as node looks for them."""
    names = [
        name
        for kind in ("dependencies", "optionalDependencies", "peerDependencies")
        for name in package.table.get(kind, {})
    ]
    needed = set()
    for name in names:
        directory = package.path
        while directory:
            candidate = posixpath.join(directory, _MODULES + name)
            if candidate in found:
                needed.add(candidate)
                break
            directory = directory.rpartition(_MODULES)[0].rstrip("/")
        else:
            if _MODULES + name in found:
                needed.add(_MODULES + name)
    return needed - {package.path}


def _circles(needs: Mapping[str, set[str]]) -> list[list[str]]:
    """The strongly connected components, by Tarjan's algorithm without recursion."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_: list[str] = []
    closed: set[str] = set()
    components = []
    for start in needs:
        if start in order:
            continue
        pending = [(start, iter(sorted(needs[start])))]
        order[start] = lowest[start] = len(order)
        open_.append(start)
        while pending:
            node, following = pending[-1]
            for other in following:
                if other not in order:
                    order[other] = lowest[other] = len(order)
                    open_.append(other)
                    pending.append((other, iter(sorted(needs[other]))))
                    break
                if other not in closed:
                    lowest[node] = min(lowest[node], order[other])
            else:
                pending.pop()
                if pending:
                    parent = pending[-1][0]
                    lowest[parent] = min(lowest[parent], lowest[node])
                if lowest[node] == order[node]:
                    at = open_.index(node)
                    components.append(open_[at:])
                    closed.update(open_[at:])
                    del open_[at:]
    return components
