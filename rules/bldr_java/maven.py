"""Lock files of Maven artifacts: `maven_install.json`, version 2, as the users of Bazel's rules_jvm_external have it.

https://github.com/bazel-contrib/rules_jvm_external; "lock_file" of `maven.install`.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from bldr.api import Locked, LockedTree, LockError, LockFile
from bldr_java.locks import MIRROR

_NO_CODE = ("sources", "javadoc")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9]")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_VERSION = "2"
_AGAIN = "pin the artifacts again"


class _Jar(NamedTuple):
    """One file of an artifact; `kind` is "jar" or its classifier, `key` what names it among the dependencies."""

    key: str
    group: str
    artifact: str
    version: str
    kind: str
    sha256: str

    @property
    def target(self) -> str:
        return _NOT_IN_NAMES.sub("_", self.key.replace(":jar:", ":"))

    @property
    def path(self) -> str:
        classifier = "" if self.kind == "jar" else f"-{self.kind}"
        place = f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}"
        return f"{place}/{self.artifact}-{self.version}{classifier}.jar"


def read(lock: LockFile) -> tuple[Locked, ...]:
    content = _parsed(lock)
    repositories = _repositories(content)
    mirror = lock.env.get(MIRROR, "").rstrip("/")
    packages = []
    for jar in _jars(content):
        addresses = [mirror] if mirror else []
        addresses += [address for address, keys in repositories.items() if jar.key in keys]
        if not addresses:
            raise LockError(f'no repository has "{jar.key}"', _AGAIN)
        packages.append(
            Locked(
                name=f"{jar.key} {jar.version}",
                urls=tuple(f"{address.rstrip('/')}/{jar.path}" for address in addresses),
                digest=f"sha256:{jar.sha256}",
                path=jar.path,
                unpack=False,
            )
        )
    return tuple(packages)


def builderfile(packages: tuple[Locked, ...], tree: LockedTree, lock: LockFile) -> Mapping[str, Any]:
    del packages, tree  # the lock file says it all
    content = _parsed(lock)
    dependencies = _table(content, "dependencies")
    jars = {jar.key: jar for jar in _jars(content)}
    targets: dict[str, Any] = {}
    for key, jar in jars.items():
        if jar.target in targets:
            raise LockError(f'two artifacts would be the target "{jar.target}", one of them "{key}"', _AGAIN)
        needed = [jars[name].target for name in dependencies.get(key, ()) if name in jars]
        targets[jar.target] = {
            "type": "library",
            "language": "java",
            "jars": [jar.path],
            "deps": [f":{name}" for name in needed],
            "visibility": "public",
        }
    return {"target": targets}


def _parsed(lock: LockFile) -> dict[str, Any]:
    try:
        content = json.loads(lock.text)
    except ValueError as error:
        raise LockError(f"it is no JSON: {error}", _AGAIN) from error
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        raise LockError(
            f"it is no lock file of version {_VERSION}", "pin the artifacts with rules_jvm_external 5.0 or newer"
        )
    return content


def _table(content: dict[str, Any], name: str) -> dict[str, Any]:
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise LockError(f'"{name}" is no object', _AGAIN)
    return table


def _repositories(content: dict[str, Any]) -> dict[str, frozenset[str]]:
    """Address -> keys of the artifacts that it has."""
    return {address: frozenset(keys) for address, keys in _table(content, "repositories").items()}


def _jars(content: dict[str, Any]) -> list[_Jar]:
    """All files with code, in the order of their keys."""
    found = []
    for key, artifact in sorted(_table(content, "artifacts").items()):
        parts = key.split(":")
        version = artifact.get("version") if isinstance(artifact, dict) else None
        if len(parts) < 2 or not isinstance(version, str) or not all((*parts, version)):
            raise LockError(f'"{key}" is no artifact with a version', _AGAIN)
        if len(parts) > 2 and parts[2] != "jar":
            continue  # a list of versions (pom), or what is for another kind of machine
        shasums = _table(artifact, "shasums")
        for kind, sha256 in sorted(shasums.items()):
            if kind in _NO_CODE:
                continue
            if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
                raise LockError(f'"{key}" is pinned by no hash', "pin the artifacts again with fetch_sources = False")
            name = key if kind == "jar" else f"{':'.join(parts[:2])}:jar:{kind}"
            found.append(_Jar(name, parts[0], parts[1], version, kind, sha256.lower()))
    return found
