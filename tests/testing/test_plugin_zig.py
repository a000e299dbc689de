"""A stranger's plugin: a distribution of its own beside an installed bldr; its tests pass with the compiler of PyPI."""

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "examples/plugin-zig"
COMPILER = "ziglang==0.13.0"


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_it_uses_nothing_of_bldr_but_what_is_public():
    for path in PLUGIN.rglob("*.py"):
        of_bldr = {name for name in imported(path) if name.partition(".")[0] == "bldr"}
        allowed = ("bldr.api", "bldr.testing") if path.is_relative_to(PLUGIN / "tests") else ("bldr.api",)
        wrong = [name for name in of_bldr if name not in allowed and not name.startswith("bldr.api.")]
        assert not wrong, f"{path} imports {wrong}"
        assert not any(name.startswith("bldr_") and not name.startswith("bldr_zig") for name in imported(path))


def test_the_compiler_is_pinned_in_one_place():
    assert f'"{COMPILER}"' in (PLUGIN / "pyproject.toml").read_text()


@pytest.fixture
def reachable():
    """A directory that an ordinary user can enter, as root's actions are one: pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="bldr-zig-") as path:
        os.chmod(path, 0o755)
        yield Path(path)


@pytest.mark.full
@pytest.mark.timeout(900)
def test_its_own_tests_pass_beside_an_installed_bldr(strangers_env, tmp_path, reachable):
    wheels = tmp_path / "wheels"
    pip = [sys.executable, "-m", "pip"]
    download = [*pip, "download", "--quiet", "--no-deps", "--dest", wheels, COMPILER]
    found = subprocess.run(download, env=strangers_env, capture_output=True, text=True)
    if found.returncode != 0:
        pytest.skip(f"the compiler of Zig is not to be had from a package index: {found.stderr.strip()[:200]}")
    env = {**strangers_env, "PIP_FIND_LINKS": f"{wheels} {strangers_env['PIP_FIND_LINKS']}"}
    shutil.copytree(PLUGIN, tmp_path / "plugin", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    venv = reachable / "venv"
    for words in (
        [sys.executable, "-m", "venv", venv],
        [venv / "bin/python", "-m", "pip", "install", "--quiet", f"{tmp_path / 'plugin'}[test]"],
        [venv / "bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider"],
    ):
        ran = subprocess.run(words, cwd=tmp_path / "plugin", env=env, capture_output=True, text=True, timeout=900)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "skipped" not in ran.stdout
