"""The table of guarantees: what it says is promised, was proven, and is what this machine's probes find."""

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bldr.api import GUARANTEES, LIMITS, Level
from bldr.testing.sandboxes import covers

ROOT = Path(__file__).resolve().parents[1]


def load(path):
    spec = importlib.util.spec_from_file_location("guarantees_of_docs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DOCS = load(ROOT / "docs/guarantees.py")
COLUMNS = {column.title: column for column in DOCS.columns()}
PROOFS = DOCS.proofs()
UNTRIED = {"macos": {"env"}, "windows": {"privileges", "memory", "cpu", "processes", "cpu-share"}}
"""There is no Mac and no Windows to try these on, and Wine takes their settings without enforcing them."""


def test_the_page_is_what_would_be_written():
    ran = subprocess.run([sys.executable, ROOT / "docs/guarantees.py"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("platform", PROOFS)
def test_every_proof_is_a_test_that_exists(platform):
    for how, proof in PROOFS[platform].values():
        assert how in DOCS.HOW
        file, _, name = proof.partition("::")
        tree = ast.parse((ROOT / "tests" / file).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, proof


@pytest.mark.parametrize("title", COLUMNS)
def test_what_is_promised_is_proven_or_said_to_be_untried(title):
    column = COLUMNS[title]
    promised = {name for name, level in column.levels.items() if level}
    assert promised <= {*GUARANTEES, *LIMITS}
    proven = set(PROOFS[column.platform])
    assert promised - proven == UNTRIED.get(column.platform, set())
    # The tiers of Linux share their proofs.
    everywhere = {name for other in COLUMNS.values() if other.platform == column.platform for name in other.levels}
    assert proven <= everywhere


def test_only_what_a_real_kernel_of_that_system_did_is_called_attacked():
    assert {platform for platform, known in PROOFS.items() for how, _ in known.values() if how == "attacked"} == {
        "linux", "landlock", "plain"
    }  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="asks the probes of Linux")
@pytest.mark.parametrize("tier", ["linux", "landlock", "plain"])
def test_the_columns_are_what_the_probes_say_on_this_machine(tier):
    from bldr_linux.plugin import bldr_sandboxes
    from bldr_plain.sandbox import PlainSandbox

    sandbox = next(made for kind in (*bldr_sandboxes(), PlainSandbox) if (made := kind()).name == tier)
    probe = sandbox.probe()
    if not probe.supported:
        pytest.skip(f"{tier} does not work here: {probe.shortfalls[0].why}")
    who = "root" if os.geteuid() == 0 else "a user"
    column = COLUMNS[f"linux, {who}" if tier == "linux" else tier]
    found = {name: Level(probe.isolation.get(name, 0)) for name in (*GUARANTEES, *LIMITS)}
    expected = {name: Level(column.levels.get(name, 0)) for name in (*GUARANTEES, *LIMITS)}
    assert {name: found[name] for name in GUARANTEES} == {name: expected[name] for name in GUARANTEES}
    if tier != "linux":
        assert found == expected
        return
    # What control groups enforce depends on those that this machine has, and on what was delegated to a user.
    assert covers(COLUMNS["linux, root"].levels, found)
    least = COLUMNS["linux, a user"].levels
    assert covers(found, {name: least[name] for name in LIMITS if name in least})
    short = {shortfall.guarantee for shortfall in probe.shortfalls}
    assert {name for name in LIMITS if not found[name]} <= short
