"""What is found of this machine's rustc, and when that counts as another toolchain."""

import os
import shutil
import subprocess

import pytest

from bldr.api import ToolchainError
from bldr_rust.toolchain import RustDetector

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(shutil.which("rustc") is None, reason="there is no rustc here"),
]


@pytest.fixture(scope="module")
def rust():
    return RustDetector().detect(os.environ)


def test_the_compiler_itself_is_found_with_all_that_it_loads(rust):
    """As the machine's own loader sees it: an oracle that does not share our code."""
    rustc = rust.executables["rustc"]
    asked = subprocess.run(["rustc", "-vV"], cwd="/", capture_output=True, text=True, check=True).stdout
    assert f"release: {rust.attributes['version']}\n" in asked and f"host: {rust.attributes['host']}\n" in asked
    assert rustc == os.path.realpath(rustc) and rustc in rust.files
    names = {os.path.normpath(os.path.join("/", name)) for name, _ in rust.links} | set(rust.files)
    for line in subprocess.run(["ldd", rustc], capture_output=True, text=True).stdout.splitlines():
        path = next((word for word in line.split() if word.startswith("/")), None)
        if path is not None:
            real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
            assert real in names, f"rustc loads {path}"


def test_the_standard_library_is_shown_or_copied(rust):
    def is_there(path):
        return path in rust.files or any(path.startswith(f"{root}/") for root in rust.roots)

    sysroot = os.path.dirname(os.path.dirname(rust.executables["rustc"]))
    library = f"{sysroot}/lib/rustlib/{rust.attributes['host']}/lib"
    crates = [name for name in os.listdir(library) if name.startswith(("libstd-", "libcore-", "libtest-"))]
    assert crates and all(is_there(os.path.realpath(f"{library}/{name}")) for name in crates)
    for root in rust.roots:  # the user of a sandbox gets in
        assert os.stat(root).st_mode & 0o005 == 0o005


def test_a_stand_in_that_runs_another_compiler(rust, tmp_path):
    stand_in = tmp_path / "rustc"
    stand_in.write_text(f'#!/bin/sh\nexec {rust.executables["rustc"]} "$@"\n')
    stand_in.chmod(0o755)
    found = RustDetector().detect({"PATH": str(tmp_path), "HOME": "/nonexistent"})
    assert (found.executables, found.identity) == (rust.executables, rust.identity)
    assert str(stand_in) in found.sentinels


def test_what_is_missing(tmp_path):
    with pytest.raises(ToolchainError, match="no rustc is on the PATH"):
        RustDetector().detect({"PATH": str(tmp_path)})
    with pytest.raises(ToolchainError, match='RUSTC names "/no/rustc", which is no program'):
        RustDetector().detect({"PATH": os.environ["PATH"], "RUSTC": "/no/rustc"})
    broken = tmp_path / "rustc"
    broken.write_text("#!/bin/sh\necho 'no default toolchain' >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(ToolchainError, match="failed: no default toolchain"):
        RustDetector().detect({"PATH": str(tmp_path)})
