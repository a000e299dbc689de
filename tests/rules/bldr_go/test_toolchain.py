"""What is found of this machine's Go, and what is said where there is none."""

import os
import shutil
import subprocess

import pytest

from bldr.api import ToolchainError
from bldr_go.toolchain import GoDetector

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(shutil.which("go") is None, reason="there is no go here"),
]


@pytest.fixture(scope="module")
def go():
    return GoDetector().detect(os.environ)


def test_programs_and_sources_are_found_where_the_go_command_looks_for_them(go):
    assert sorted(go.executables) == ["go", "go-asm", "go-compile", "go-link"]
    assert set(go.executables.values()) <= set(go.files)
    asked = subprocess.run(["go", "version"], cwd="/", capture_output=True, text=True, check=True).stdout
    assert f"go{go.attributes['version']} " in asked
    shown = {os.path.normpath(os.path.join(os.path.dirname(name), target)) for name, target in go.links}
    for part in ("src", "pkg/include"):
        path = os.path.join(go.attributes["goroot"], part)
        real = os.path.realpath(path)
        assert real in go.roots or any(file.startswith(f"{real}/") for file in go.files)
        assert path == real or real in shown or not go.roots


def test_goroot_names_another(go):
    named = GoDetector().detect({"PATH": "/nonexistent", "GOROOT": go.attributes["goroot"]})
    assert named.identity == go.identity


def test_what_is_missing(tmp_path):
    with pytest.raises(ToolchainError, match="no go is on the PATH"):
        GoDetector().detect({"PATH": str(tmp_path)})
    with pytest.raises(ToolchainError, match="where no bin/go is"):
        GoDetector().detect({"PATH": os.environ["PATH"], "GOROOT": str(tmp_path)})
    broken = tmp_path / "go"
    broken.write_text("#!/bin/sh\necho 'out of order' >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(ToolchainError, match="failed: out of order"):
        GoDetector().detect({"PATH": str(tmp_path)})
