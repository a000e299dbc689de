"""Crates of a Cargo.lock, from a mirror on loopback that serves what Debian packages as librust-*-dev."""

import gzip
import hashlib
import io
import shutil
import tarfile
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.full

REGISTRY = Path("/usr/share/cargo/registry")
WANTED = ("itoa", "proc-macro2", "quote", "ryu", "serde", "serde_derive", "serde_json", "syn", "unicode-ident")


def packed(directory):
    """An archive as cargo publishes it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for file in sorted(path for path in directory.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(f"{directory.name}/{file.relative_to(directory)}")
            entry.size = file.stat().st_size
            with file.open("rb") as content:
                archive.addfile(entry, content)
    return gzip.compress(made.getvalue(), mtime=0)


@pytest.fixture
def crates(mirror):
    """Serves the crates, and gives the text of a Cargo.lock of a project that depends on serde and serde_json."""
    if shutil.which("rustc") is None:
        pytest.skip("there is no rustc here")
    here = {path.name.rpartition("-")[0]: path for path in REGISTRY.glob("*-*")}
    if missing := sorted(set(WANTED) - set(here)):
        pytest.skip(f"there are no crates of Debian here: {missing[0]}")
    lock = ['version = 3\n[[package]]\nname = "app"\nversion = "0.1.0"\ndependencies = ["serde", "serde_json"]\n']
    for name in WANTED:
        archive = packed(here[name])
        version = here[name].name.rpartition("-")[2]
        mirror.serve(f"/crates/{name}/{name}-{version}.crate", archive)
        manifest = tomllib.loads((here[name] / "Cargo.toml").read_text())
        deps = [f'"{dep}"' for dep in manifest.get("dependencies", {}) if dep in WANTED]
        lock.append(
            f'[[package]]\nname = "{name}"\nversion = "{version}"\n'
            'source = "registry+https://github.com/rust-lang/crates.io-index"\n'
            f'checksum = "{hashlib.sha256(archive).hexdigest()}"\ndependencies = [{", ".join(deps)}]\n'
        )
    return "\n".join(lock)


FILES = {
    "Builderfile": """
        [workspace]
        name = "test"

        [external.crates]
        lock = "Cargo.lock"

        [target.app]
        type = "executable"
        language = "rust"
        sources = ["main.rs"]
        deps = ["@crates//:serde", "@crates//:serde_json"]
        """,
    "Cargo.toml": """
        [package]
        name = "app"
        version = "0.1.0"

        [dependencies]
        serde = { version = "1", features = ["derive"] }
        serde_json = "1"
        """,
    "main.rs": """
        use serde::{Deserialize, Serialize};

        #[derive(Serialize, Deserialize)]
        struct Point {
            x: i32,
            y: f64,
        }

        fn main() {
            let point: Point = serde_json::from_str(r#"{"x": 1, "y": 2.5}"#).unwrap();
            println!("{}", serde_json::to_string(&point).unwrap());
        }
        """,
}


def test_a_program_with_derived_code_is_built_from_a_lock_file_and_a_mirror(project, mirror, crates):
    project.write({**FILES, "Cargo.lock": crates})
    mirrored = {"BLDR_CARGO_MIRROR": f"{mirror.url}/crates"}
    ran = project.bldr("build", "--hermetic", "//...", **mirrored)
    assert ran.exit_code == 0, ran
    assert len(mirror.requests) == len(WANTED)
    assert project.output_of("app") == '{"x":1,"y":2.5}\n'

    mirror.stop()
    assert project.bldr("build", "--hermetic", "//...").ran == []
    main = project.root / "main.rs"
    main.write_text(main.read_text().replace("2.5", "7.5"))
    assert project.bldr("build", "--hermetic", "//...").ran == ["Rustc //:app"]
    assert project.output_of("app") == '{"x":1,"y":7.5}\n'


def test_an_archive_that_the_lock_file_does_not_pin_is_refused(project, mirror, crates, tmp_path):
    project._cache = tmp_path / "another-cache"  # nothing was fetched into it before
    (itoa,) = [path for path in mirror.contents if "/itoa/" in path]
    mirror.serve(itoa, gzip.compress(b"something else"))
    project.write({**FILES, "Cargo.lock": crates})
    ran = project.bldr("build", "--hermetic", "//...", BLDR_CARGO_MIRROR=f"{mirror.url}/crates")
    assert ran.exit_code != 0
    assert "itoa" in ran.output and "sha256" in ran.output.lower(), ran
