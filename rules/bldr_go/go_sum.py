"""The lock format "go": the modules of a go.sum, each an archive of a proxy with Go's own digest of its files."""

import posixpath
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from bldr.api import Locked, LockedTree, LockError, LockFile
from bldr_go.go_mod import Module, escaped, modules, read_go_mod, read_sums
from bldr_go.source_files import Head, head_of, is_for, tags_of

_PROXY = "https://proxy.golang.org"
_WITHOUT_GO_MOD = "1.16"  # the language of modules that do not say theirs
_SKIPPED = ("testdata", "vendor")


class Package(NamedTuple):
    """A package of a module: where its sources stand, and what they say."""

    import_path: str
    directory: str
    files: tuple[str, ...]
    heads: tuple[Head, ...]
    go_version: str


def read(lock: LockFile) -> tuple[Locked, ...]:
    proxies = _proxies(lock)
    return tuple(
        Locked(
            name=f"{module.source} {module.version}",
            urls=tuple(f"{proxy}/{escaped(module.source)}/@v/{escaped(module.version)}.zip" for proxy in proxies),
            digest=module.digest,
            path=module.stem,
            strip_prefix=module.stem,
        )
        for module in _modules(lock)
    )


def builderfile(packages: tuple[Locked, ...], tree: LockedTree, lock: LockFile) -> Mapping[str, Any]:
    unknown = sorted(set(lock.options) - {"build_tags", "std"})
    if unknown:
        raise LockError(f'"{unknown[0]}" is no option of go.sum', "known are build_tags and std")
    here = {package.path for package in packages}
    build_tags = tuple(lock.options.get("build_tags", "").split())
    tags = tags_of(lock.platform, build_tags)
    found = [package for module in _modules(lock) if module.stem in here for package in _packages(module, tree, tags)]
    known = {package.import_path for package in found}
    std = {
        "type": "stdlib",
        "language": "go",
        "packages": lock.options.get("std", "std").split(),
        "visibility": "public",
    }
    targets = {package.import_path: _target(package, known, build_tags, tree) for package in found}
    return {"target": {"go-std": std, **targets}}


def _modules(lock: LockFile) -> tuple[Module, ...]:
    return modules(read_sums(lock.text), read_go_mod(lock.beside.get("go.mod", "")))


def _proxies(lock: LockFile) -> list[str]:
    said = lock.env.get("GOPROXY", "") or _PROXY
    words = said.replace("|", ",").split(",")
    found = [word.strip().rstrip("/") for word in words if word.strip().startswith(("https:", "file:"))]
    if not found:
        raise LockError(
            f'GOPROXY is "{said}", which names no proxy', "modules are fetched from proxies only: https:// or file:"
        )
    return found


def _packages(module: Module, tree: LockedTree, tags: frozenset[str]) -> Iterator[Package]:
    """All packages of a module that have sources for this platform, but programs."""
    go_version = _WITHOUT_GO_MOD
    pending = [module.stem]
    while pending:
        directory = pending.pop()
        names = tree.names(directory)
        if directory == module.stem and "go.mod" in names:
            said = read_go_mod(tree.read(f"{directory}/go.mod").decode(errors="replace"))
            go_version = ".".join((said.go_version or _WITHOUT_GO_MOD).split(".")[:2])
        bare = [name.rstrip("/") for name in names if name.endswith("/")]
        pending += [f"{directory}/{name}" for name in bare if name not in _SKIPPED and not name.startswith((".", "_"))]
        files = [
            name
            for name in names
            if name.endswith((".go", ".s", ".h")) and not name.endswith("_test.go") and name[0] not in "._"
        ]
        texts = {name: tree.read(f"{directory}/{name}").decode(errors="replace") for name in files}
        heads = [head_of(text) for name, text in texts.items() if name.endswith(".go") and is_for(name, text, tags)]
        heads = [head for head in heads if "C" not in head.imports]
        if heads and all(head.package != "main" for head in heads):
            import_path = posixpath.normpath(posixpath.join(module.path, directory[len(module.stem) + 1 :]))
            yield Package(import_path, directory, tuple(files), tuple(heads), go_version)


def _target(package: Package, known: set[str], build_tags: tuple[str, ...], tree: LockedTree) -> dict[str, Any]:
    imports = {path for head in package.heads for path in head.imports}
    patterns = {pattern.removeprefix("all:") for head in package.heads for pattern in head.embedded}
    return {
        "type": "library",
        "language": "go",
        "import_path": package.import_path,
        "sources": [f"{package.directory}/{name}" for name in package.files],
        "embed": sorted({file for pattern in patterns for file in _embedded(package.directory, pattern, tree)}),
        "build_tags": build_tags,
        "go_version": package.go_version,
        "deps": sorted(f":{path}" for path in imports & known if path != package.import_path),
        "visibility": "public",
    }


def _embedded(directory: str, pattern: str, tree: LockedTree) -> list[str]:
    """The files that a pattern of //go:embed names; a directory stands for all that is below it. What matches nothing
    is left for the compilation to say: not every package of a module is used."""
    found = [directory]
    for part in pattern.split("/"):
        inside = [path.rstrip("/") for path in found if path.endswith("/") or path == directory]
        below = [(path, name) for path in inside for name in tree.names(path)]
        found = [f"{path}/{name}" for path, name in below if fnmatchcase(name.rstrip("/"), part)]
    return [f"{path}**" if path.endswith("/") else path for path in found]
