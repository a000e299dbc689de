"""What targets of Rust may say."""

from typing import Literal

from bldr.api import LabelList, TargetAttributes, TestAttributes

Edition = Literal["2015", "2018", "2021", "2024"]


class RustAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An executable: one crate. `crate_root` and `build_script` name files of the package that are among the sources.

    `aliases` gives deps another name in the source: `{ ":serde_json" = "json" }`. `rustc_env` is what `env!` sees.
    `manifest_dir` is the directory of the package that stands for cargo's, where build scripts run.
    """

    crate_name: str = ""
    crate_root: str = ""
    edition: Edition = "2021"
    features: tuple[str, ...] = ()
    cfg: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    rustc_env: dict[str, str] = {}
    aliases: dict[str, str] = {}
    build_script: str = ""
    build_deps: LabelList = ()
    manifest_dir: str = ""


class RustLibraryAttributes(RustAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A library. What C programs can link (`cdylib`, `staticlib`) is an end: no Rust code depends on it as a crate."""

    crate_type: Literal["lib", "proc-macro", "cdylib", "staticlib"] = "lib"


class RustTestAttributes(TestAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A test: a crate with the harness of `#[test]`. Repeats `RustAttributes`, which msgspec cannot mix in."""

    crate_name: str = ""
    crate_root: str = ""
    edition: Edition = "2021"
    features: tuple[str, ...] = ()
    cfg: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    rustc_env: dict[str, str] = {}
    aliases: dict[str, str] = {}
    build_script: str = ""
    build_deps: LabelList = ()
    manifest_dir: str = ""


AnyRustAttributes = RustAttributes | RustLibraryAttributes | RustTestAttributes
