"""Cargo.lock and Cargo.toml: what is fetched, which features are on, and which targets there are."""

import pytest

from bldr.api import LockError, LockFile, Platform
from bldr_rust.cfg import applies
from bldr_rust.locks import CargoLock

LINUX = Platform("linux", "x86_64")
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def entry(name, version, *dependencies, source=CRATES_IO, checksum="0" * 64):
    lines = [f'name = "{name}"', f'version = "{version}"', f"dependencies = [{', '.join(map(repr, dependencies))}]"]
    lines += [f'source = "{source}"'] if source else []
    lines += [f'checksum = "{checksum}"'] if source and checksum else []
    return "\n".join(["[[package]]", *lines])


def lock(*entries, manifest="", version=3, **given):
    beside = {"Cargo.toml": manifest} if manifest else {}
    return LockFile(text="\n".join([f"version = {version}", *entries]), platform=LINUX, beside=beside, **given)


class Tree:
    """Cargo.toml by crate; every crate has a library, and what `more` names besides."""

    def __init__(self, manifests, more=()):
        self._files = {f"{stem}/src/lib.rs": "" for stem in manifests} | dict.fromkeys(more, "")
        for stem, text in manifests.items():
            name, _, version = stem.rpartition("-")
            head = "" if "[package]" in text else f'[package]\nname = "{name}"\nversion = "{version}"\n'
            self._files[f"{stem}/Cargo.toml"] = head + text

    def read(self, path):
        if path not in self._files:
            raise FileNotFoundError(path)
        return self._files[path].encode()


def targets(file, tree):
    return CargoLock().builderfile(CargoLock().read(file), tree, file)["target"]


def test_what_is_fetched():
    file = lock(entry("app", "0.1.0", "a", source=""), entry("a", "1.2.3+x", checksum="ab" * 32))
    (locked,) = CargoLock().read(file)
    assert locked.urls == ("https://static.crates.io/crates/a/a-1.2.3+x.crate",)
    assert (locked.digest, locked.path, locked.strip_prefix) == (f"sha256:{'ab' * 32}", "a-1.2.3+x", "a-1.2.3+x")
    mirrored = CargoLock().read(lock(entry("a", "1.0.0"), env={"BLDR_CARGO_MIRROR": "https://m.example/x/"}))
    assert mirrored[0].urls == ("https://m.example/x/a/a-1.0.0.crate",)


def test_checksums_of_old_lock_files():
    text = f'[[package]]\nname = "a"\nversion = "1.0.0"\nsource = "{CRATES_IO}"\n[metadata]\n'
    text += f'"checksum a 1.0.0 ({CRATES_IO})" = "{"cd" * 32}"\n'
    assert CargoLock().read(LockFile(text=text, platform=LINUX))[0].digest == f"sha256:{'cd' * 32}"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (
            lock(entry("a", "1.0.0", source="git+https://x.example/a")),
            'the crate "a" 1.0.0 comes from a git repository',
        ),
        (lock(entry("a", "1.0.0", source="registry+https://x.example")), "and only crates"),
        (lock(entry("a", "1.0.0", checksum="")), 'the crate "a" 1.0.0 has no checksum'),
        (lock("[["), "this is no lock file of cargo"),
        (lock(version=9), "the lock file is of version 9"),
    ],
)
def test_what_is_refused(file, message):
    with pytest.raises(LockError, match=message):
        CargoLock().read(file)


def test_features_spread_over_all_that_ask():
    file = lock(
        entry("app", "0.1.0", "top", "extra", source=""),
        entry("top", "1.0.0", "low 2.1.0", "opt", "weakly"),
        entry("extra", "1.0.0", "low 2.1.0"),
        entry("low", "2.1.0"),
        entry("low", "0.9.0"),
        entry("opt", "1.0.0"),
        entry("weakly", "1.0.0"),
        options={"extra": "-default more"},
    )
    tree = Tree(
        {
            "top-1.0.0": '[dependencies]\nlow = { version = "2", default-features = false, features = ["a"] }\n'
            'opt = { version = "1", optional = true }\nweakly = { version = "1", optional = true }\n'
            'gone = { version = "1", optional = true }\n'
            '[features]\ndefault = ["opt", "weakly?/never", "low/b"]\nunused = ["dep:weakly"]\n',
            "extra-1.0.0": '[dependencies]\nrenamed = { package = "low", version = "2.0" }\n'
            '[features]\ndefault = ["big"]\nbig = []\nmore = []\n',
            "low-2.1.0": '[features]\ndefault = ["c"]\na = []\nb = []\nc = []\nd = []\n',
            "low-0.9.0": "",
            "opt-1.0.0": "",
            "weakly-1.0.0": "[features]\nnever = []\n",
        }
    )
    found = targets(file, tree)
    assert sorted(found) == ["extra", "low-2.1.0", "opt-1.0.0", "top"]  # not what nobody uses
    assert found["top"]["features"] == ["default", "opt"]
    assert found["extra"]["features"] == ["more"]
    assert found["low-2.1.0"]["features"] == ["a", "b", "c", "default"]
    assert found["top"]["deps"] == [":low-2.1.0", ":opt-1.0.0"]
    assert found["extra"]["aliases"] == {":low-2.1.0": "renamed"}
    assert (found["top"]["visibility"], found["opt-1.0.0"]["visibility"]) == ("public", "private")


def test_the_manifest_beside_says_what_the_project_asks_for():
    manifest = """
        [package]
        name = "app"
        version = "0.1.0"
        [dependencies]
        a = { version = "1", default-features = false, features = ["x"] }
        [target.'cfg(windows)'.dependencies]
        b = "1"
        [dev-dependencies]
        c = { workspace = true, features = ["y"] }
        [workspace.dependencies]
        c = { version = "1", features = ["x"] }
        [features]
        default = ["a/z"]
        """
    features = '[features]\ndefault = ["d"]\nd = []\nx = []\ny = []\nz = []\n'
    file = lock(
        entry("app", "0.1.0", "a", "b", "c", source=""),
        *(entry(name, "1.0.0") for name in "abc"),
        manifest=manifest,
    )
    found = targets(file, Tree({f"{name}-1.0.0": features for name in "abc"}))
    assert {name: target["features"] for name, target in found.items()} == {
        "a": ["x", "z"],
        "b": ["d", "default"],
        "c": ["d", "default", "x", "y"],
    }


def test_a_crate_with_a_build_script_and_one_that_is_a_macro():
    tree = Tree(
        {
            "a-1.2.3-rc.1": '[package]\nname = "a"\nversion = "1.2.3-rc.1"\nedition = "2018"\nauthors = ["A", "B"]\n'
            '[lib]\nname = "aye"\npath = "src/lib.rs"\n[dependencies]\nm = "1"\n[build-dependencies]\nh = "1"\n'
            "[target.'cfg(windows)'.dependencies]\nw = \"1\"\n",
            "m-1.0.0": "[lib]\nproc-macro = true\n",
            "h-1.0.0": '[package]\nname = "h"\nversion = "1.0.0"\nbuild = false\n',
            "w-1.0.0": "",
        },
        more=["a-1.2.3-rc.1/build.rs", "h-1.0.0/build.rs"],
    )
    file = lock(entry("a", "1.2.3-rc.1", "m", "h", "w"), entry("m", "1.0.0"), entry("h", "1.0.0"), entry("w", "1.0.0"))
    found = targets(file, tree)
    assert sorted(found) == ["a", "h-1.0.0", "m-1.0.0"]
    a = found["a"]
    assert (a["crate_name"], a["edition"], a["crate_type"], a["manifest_dir"]) == ("aye", "2018", "lib", "a-1.2.3-rc.1")
    assert a["crate_root"] == "a-1.2.3-rc.1/src/lib.rs"
    assert (a["build_script"], a["build_deps"], a["deps"]) == ("a-1.2.3-rc.1/build.rs", [":h-1.0.0"], [":m-1.0.0"])
    assert a["rustc_env"]["CARGO_PKG_VERSION_PATCH"] == "3" and a["rustc_env"]["CARGO_PKG_VERSION_PRE"] == "rc.1"
    assert a["rustc_env"]["CARGO_PKG_AUTHORS"] == "A:B"
    assert found["m-1.0.0"]["crate_type"] == "proc-macro"
    assert "build_script" not in found["h-1.0.0"]


def test_an_option_for_a_crate_that_is_not_there():
    with pytest.raises(LockError, match='the options name "b", which is no direct dependency'):
        targets(lock(entry("a", "1.0.0"), options={"b": "x"}), Tree({"a-1.0.0": ""}))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("cfg(unix)", True),
        ("cfg(windows)", False),
        ('cfg(all(unix, target_arch = "x86_64", not(target_os = "macos")))', True),
        ('cfg(any(windows, target_env = "msvc",))', False),
        ("cfg(any())", False),
        ("cfg(all())", True),
        ('cfg(feature = "x")', False),
        ("x86_64-unknown-linux-gnu", True),
        ("wasm32-unknown-unknown", False),
    ],
)
def test_conditions(condition, expected):
    assert applies(condition, LINUX) is expected


@pytest.mark.parametrize("condition", ["cfg(", "cfg(unix", "cfg(all(unix)", "cfg(a b)", "cfg(some(unix))", 'cfg("x")'])
def test_conditions_that_are_none(condition):
    with pytest.raises(ValueError, match="condition"):
        applies(condition, LINUX)
