"""From the crates of a lock file to targets."""

from collections.abc import Mapping
from typing import Any

from bldr.api import LockedTree, LockError, LockFile
from bldr_rust.features import Resolution, Used
from bldr_rust.manifest import Manifest, read_manifest, read_own_manifest
from bldr_rust.names import Package, find_package, satisfies


def targets(packages: tuple[Package, ...], tree: LockedTree, lock: LockFile) -> dict[str, dict[str, Any]]:
    """One library for each crate that is used on this platform.

    A direct dependency of the project is public and has the name of its crate, all others are called `NAME-VERSION`.
    """
    fetched = [package for package in packages if package.is_fetched]
    direct = _direct(packages)
    unknown = sorted(set(lock.options) - {package.name for package in direct})
    if unknown:
        raise LockError(
            f'the options name "{unknown[0]}", which is no direct dependency in the lock file',
            "an option is the name of a crate and the features that the project asks for",
        )
    manifests = {package: read_manifest(package.stem, tree, lock.platform) for package in fetched}
    project = read_own_manifest(lock.beside.get("Cargo.toml", ""), lock.platform)
    own = [entry for entry in packages if not entry.is_fetched and entry.name == project.package.get("name")]
    resolution = Resolution(packages, {**manifests, **dict.fromkeys(own, project)})
    for entry in own:
        resolution.use(entry, ("default",))
    known = {package for entry in own for package in resolution.used[entry].dependencies.values()}
    for package in direct:
        resolution.use(package, _asked(package, project, lock, is_known=package in known))
    used = {package: used for package, used in resolution.used.items() if package.is_fetched}
    names = _names(list(used), direct)
    return {
        names[package]: _target(used[package], used, names, is_public=package in direct)
        for package in sorted(used)
        if used[package].manifest.library
    }


def _asked(package: Package, project: Manifest, lock: LockFile, *, is_known: bool) -> list[str]:
    """The features of a direct dependency: what the options say, and, where no manifest of a package says more
    (`is_known`), the table `workspace.dependencies` or else the default ones."""
    words = lock.options.get(package.name, "").replace(",", " ").split()
    asked = [word for word in words if not word.startswith("-")]
    if is_known or "-default" in words:
        return asked
    for shared in project.dependencies:
        if shared.package == package.name and satisfies(package.version, shared.requirement):
            return [*(["default"] if shared.has_defaults else []), *shared.features, *asked]
    return ["default", *asked]


def _direct(packages: tuple[Package, ...]) -> list[Package]:
    """What the project itself depends on; without a project in the lock file, what nobody depends on."""
    own = [package for package in packages if not package.is_fetched]
    users = own or packages
    named = {find_package(written, packages) for user in users for written in user.dependencies}
    return [package for package in packages if package.is_fetched and (package in named) == bool(own)]


def _names(used: list[Package], direct: list[Package]) -> dict[Package, str]:
    direct_names = [package.name for package in direct]
    return {
        package: package.name if package in direct and direct_names.count(package.name) == 1 else package.stem
        for package in used
    }


def _target(
    used: Used, all_used: Mapping[Package, Used], names: Mapping[Package, str], *, is_public: bool
) -> dict[str, Any]:
    manifest, stem = used.manifest, used.package.stem
    built = {
        dependency: package for dependency, package in used.dependencies.items() if all_used[package].manifest.library
    }
    aliases = {
        f":{names[package]}": dependency.name.replace("-", "_")
        for dependency, package in built.items()
        if not dependency.is_for_script
        and dependency.name != dependency.package
        and dependency.name.replace("-", "_") != all_used[package].manifest.crate_name
    }
    target = {
        "type": "library",
        "language": "rust",
        "description": str(manifest.package.get("description", "")).strip(),
        "crate_name": manifest.crate_name,
        "crate_type": "proc-macro" if manifest.is_macro else "lib",
        "crate_root": f"{stem}/{manifest.library}",
        "manifest_dir": stem,
        "edition": manifest.package.get("edition", "2015"),
        "sources": [f"{stem}/**"],
        "features": sorted(used.features),
        "deps": _labels(names[package] for dependency, package in built.items() if not dependency.is_for_script),
        "aliases": aliases,
        "rustc_env": _variables(used),
        "visibility": "public" if is_public else "private",
    }
    if manifest.script:
        target["build_script"] = f"{stem}/{manifest.script}"
        target["build_deps"] = _labels(
            names[package] for dependency, package in built.items() if dependency.is_for_script
        )
    return target


def _labels(names: Any) -> list[str]:
    return sorted({f":{name}" for name in names})


def _variables(used: Used) -> dict[str, str]:
    """What cargo tells crates about themselves."""
    package, version = used.manifest.package, used.package.version
    bare, _, pre = version.partition("+")[0].partition("-")
    major, minor, patch = (*bare.split("."), "0", "0")[:3]
    texts = {key: package.get(key, "") for key in ("description", "homepage", "repository", "license", "rust-version")}
    return {
        "CARGO_PKG_NAME": used.package.name,
        "CARGO_PKG_VERSION": version,
        "CARGO_PKG_VERSION_MAJOR": major,
        "CARGO_PKG_VERSION_MINOR": minor,
        "CARGO_PKG_VERSION_PATCH": patch,
        "CARGO_PKG_VERSION_PRE": pre,
        "CARGO_PKG_AUTHORS": ":".join(package.get("authors", ())),
        **{f"CARGO_PKG_{key.upper().replace('-', '_')}": str(text).strip() for key, text in texts.items()},
    }
