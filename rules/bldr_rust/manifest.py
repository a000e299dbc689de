"""Cargo.toml of a published crate, as far as a build needs it."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import tomli

from bldr.api import LockedTree, LockError, Platform
from bldr_rust.cfg import applies


class Dependency(NamedTuple):
    """One entry of a table of dependencies. `name` is what the manifest and the source call it."""

    name: str
    package: str
    requirement: str
    features: tuple[str, ...]
    has_defaults: bool
    is_optional: bool
    is_for_script: bool


class Manifest(NamedTuple):
    """A crate: what it is built of, and what it depends on here. `library` and `script` are paths, "" for none."""

    package: Mapping[str, Any]
    crate_name: str
    library: str
    script: str
    is_macro: bool
    features: Mapping[str, tuple[str, ...]]
    dependencies: tuple[Dependency, ...]


def read_manifest(directory: str, tree: LockedTree, platform: Platform) -> Manifest:
    """The manifest below a directory of the tree. Raises LockError."""
    try:
        table = tomli.loads(tree.read(f"{directory}/Cargo.toml").decode())
        package = table["package"]
        lib = table.get("lib", {})
        kinds = lib.get("crate-type", lib.get("crate_type", ()))
        script = package.get("build", "build.rs")
        return Manifest(
            package=package,
            crate_name=lib.get("name", package["name"]).replace("-", "_"),
            library=_if_there(lib.get("path", "src/lib.rs"), directory, tree),
            script=_if_there(script, directory, tree) if isinstance(script, str) else "",
            is_macro=bool(lib.get("proc-macro", lib.get("proc_macro", False))) or "proc-macro" in kinds,
            features={name: tuple(values) for name, values in table.get("features", {}).items()},
            dependencies=tuple(_dependencies(table, platform)),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LockError(f'"{directory}/Cargo.toml" is no manifest of a published crate: {error}') from error


def read_own_manifest(text: str, platform: Platform) -> Manifest:
    """The project's own manifest: only what it asks of its dependencies counts, those for tests included, and those
    that are optional as well. Raises LockError."""
    try:
        table = tomli.loads(text)
        shared = table.get("workspace", {}).get("dependencies", {})
        asked = [*_dependencies(table, platform, shared), *_dependencies({"dependencies": shared}, platform)]
        return Manifest(
            package=table.get("package", {}),
            crate_name="",
            library="",
            script="",
            is_macro=False,
            features={name: tuple(values) for name, values in table.get("features", {}).items()},
            dependencies=tuple(dependency._replace(is_optional=False) for dependency in asked),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LockError(f'the "Cargo.toml" beside the lock file cannot be read: {error}') from error


def _if_there(name: str, directory: str, tree: LockedTree) -> str:
    try:
        tree.read(f"{directory}/{name}")
    except FileNotFoundError:
        return ""
    return name


def _dependencies(
    table: Mapping[str, Any], platform: Platform, shared: Mapping[str, Any] | None = None
) -> Iterator[Dependency]:
    """All of the manifest; with `shared`, the table `workspace.dependencies`, those for tests, too."""
    tables = [table, *(part for condition, part in table.get("target", {}).items() if applies(condition, platform))]
    kinds = ["dependencies", "build-dependencies", "build_dependencies"]
    kinds += ["dev-dependencies", "dev_dependencies"] if shared is not None else []
    for part in tables:
        for kind in kinds:
            for name, said in part.get(kind, {}).items():
                spec = {"version": said} if isinstance(said, str) else said
                if shared is not None and spec.get("workspace"):
                    of_all = shared[name]
                    of_all = {"version": of_all} if isinstance(of_all, str) else of_all
                    features = (*of_all.get("features", ()), *spec.get("features", ()))
                    spec = {**of_all, **spec, "features": features}
                yield _dependency(name, spec, is_for_script=kind.startswith("build"))


def _dependency(name: str, said: Mapping[str, Any], *, is_for_script: bool) -> Dependency:
    return Dependency(
        name=name,
        package=said.get("package", name),
        requirement=said.get("version", "*"),
        features=tuple(said.get("features", ())),
        has_defaults=bool(said.get("default-features", said.get("default_features", True))),
        is_optional=bool(said.get("optional", False)),
        is_for_script=is_for_script,
    )
