"""Which crates of a lock file are used here, and with which features: those that anybody asks for, together."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bldr_rust.manifest import Dependency, Manifest
from bldr_rust.names import Package, find_package, satisfies


class Used(NamedTuple):
    """A crate that is built: its features, and its dependencies that are in use."""

    package: Package
    manifest: Manifest
    features: set[str]
    dependencies: dict[Dependency, Package]


class Resolution:
    """Spreads features from the direct dependencies to all others until nothing is added."""

    def __init__(self, packages: tuple[Package, ...], manifests: Mapping[Package, Manifest]) -> None:
        self._packages = packages
        self._manifests = manifests
        self.used: dict[Package, Used] = {}
        self._weak: set[tuple[Package, str, str]] = set()

    def use(self, package: Package, features: Iterable[str]) -> None:
        """Ask for a crate with these features."""
        if package not in self.used:
            manifest = self._manifests[package]
            self.used[package] = Used(package, manifest, set(), {})
            for dependency in manifest.dependencies:
                if not dependency.is_optional:
                    self._use_dependency(self.used[package], dependency)
        for feature in features:
            self._enable(self.used[package], feature)

    def _enable(self, user: Used, feature: str) -> None:
        if feature in user.features:
            return
        if feature in user.manifest.features:
            user.features.add(feature)
            for value in user.manifest.features[feature]:
                self._follow(user, value)
        elif any(dependency.name == feature and dependency.is_optional for dependency in user.manifest.dependencies):
            user.features.add(feature)
            self._activate(user, feature)

    def _follow(self, user: Used, value: str) -> None:
        """One element of a feature's list: a feature, `dep:name`, `name/feature` or `name?/feature`."""
        if value.startswith("dep:"):
            self._activate(user, value.removeprefix("dep:"))
            return
        name, slash, feature = value.partition("/")
        if not slash:
            self._enable(user, value)
        elif name.endswith("?"):
            name = name.removesuffix("?")
            self._weak.add((user.package, name, feature))
            self._add_features(user, name, feature)
        else:
            if not any(f"dep:{name}" in values for values in user.manifest.features.values()):
                self._enable(user, name)  # an optional dependency is a feature of its own name
            self._activate(user, name)
            self._add_features(user, name, feature)

    def _activate(self, user: Used, name: str) -> None:
        for dependency in user.manifest.dependencies:
            if dependency.name == name:
                self._use_dependency(user, dependency)

    def _use_dependency(self, user: Used, dependency: Dependency) -> None:
        if dependency in user.dependencies:
            return
        package = self._locked(user.package, dependency)
        if package is None:  # cargo does not lock what no feature of the project reaches
            return
        user.dependencies[dependency] = package
        self.use(package, (*(("default",) if dependency.has_defaults else ()), *dependency.features))
        for weak_user, name, feature in sorted(self._weak):
            if weak_user == user.package and name == dependency.name:
                self.use(package, (feature,))

    def _add_features(self, user: Used, name: str, feature: str) -> None:
        """To a dependency that is in use."""
        for dependency, package in list(user.dependencies.items()):
            if dependency.name == name:
                self.use(package, (feature,))

    def _locked(self, user: Package, dependency: Dependency) -> Package | None:
        named = (find_package(written, self._packages) for written in user.dependencies)
        found = [package for package in named if package is not None and package.name == dependency.package]
        if len(found) > 1:
            found = [package for package in found if satisfies(package.version, dependency.requirement)] or found
        return found[0] if found else None
