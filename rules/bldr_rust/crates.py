"""The names of a crate and of its files."""

import hashlib
import posixpath

from bldr.api import TREE_ROOT, Artifact, Context
from bldr_rust.attributes import AnyRustAttributes

_ROOTS = {"library": ("src/lib.rs", "lib.rs"), "executable": ("src/main.rs", "main.rs")}


def crate_name(attributes: AnyRustAttributes, context: Context) -> str:
    """What the source of others calls the crate."""
    name = attributes.crate_name or posixpath.basename(context.label.name).replace("-", "_")
    if not name.isidentifier() or not name.isascii():
        hint = 'name the crate: crate_name = "..."' if not attributes.crate_name else ""
        context.fail(f'"{name}" cannot be the name of a crate', hint, "crate_name" if attributes.crate_name else "")
    return name


def disambiguator(context: Context) -> str:
    """Tells two crates of one name apart, in symbols and in the names of files."""
    return hashlib.sha256(str(context.label).encode()).hexdigest()[:16]


def crate_root(attributes: AnyRustAttributes, context: Context) -> Artifact:
    """The source that the compiler begins with."""
    if attributes.crate_root:
        return source_named(attributes.crate_root, "crate_root", context)
    directory = context.label.directory
    name = posixpath.basename(context.label.name)
    script = _path(attributes.build_script, directory)
    written = {source.path: source for source in context.files("sources") if source.path.endswith(".rs")}
    candidates = [path for path in written if path != script]
    usual = (*_ROOTS.get(attributes.type, ()), f"tests/{name}.rs", f"{name}.rs")
    found = (
        candidates if len(candidates) == 1 else [path for each in usual if (path := _path(each, directory)) in written]
    )
    if not found:
        context.fail(
            "which source the crate begins with is not said" if written else "there is no source of Rust",
            f'name it: crate_root = "..." (without it: the only source, {", ".join(usual)})',
            "sources",
        )
    return written[found[0]]


def source_named(name: str, attribute: str, context: Context) -> Artifact:
    """The source that an attribute names by its path in the package."""
    path = _path(name, context.label.directory)
    found = [source for source in context.files("sources") if source.path == path]
    if not found:
        context.fail(f'"{name}" is none of the sources', "add it to sources", attribute)
    return found[0]


def manifest_directory(attributes: AnyRustAttributes, context: Context) -> str:
    """What crates and build scripts know as the directory of their Cargo.toml, absolute."""
    return posixpath.join(TREE_ROOT, _path(attributes.manifest_dir or ".", context.label.directory)).removesuffix("/.")


def _path(name: str, directory: str) -> str:
    return posixpath.normpath(posixpath.join(directory, name)) if name else ""
