"""The table of threats names tests that exist, attack, and are not switched off."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs/reference/threats.md"
ROW = re.compile(r"^\| (?!threat \||-)(.+) \| (.+) \| (.+) \|$", re.MULTILINE)
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
ROWS = [(threat, NAMED.findall(tests)) for threat, _, tests in ROW.findall(PAGE.read_text())]


def switched_off(function):
    """The marks of a test that keep it from running whatever the machine."""
    return [
        mark
        for mark in map(ast.unparse, function.decorator_list)
        if mark.startswith(("pytest.mark.skip(", "pytest.mark.xfail", "pytest.mark.vm")) or mark == "pytest.mark.skip"
    ]


def test_every_threat_has_an_attack():
    assert len(ROWS) > 20
    assert [threat for threat, tests in ROWS if not tests] == []


@pytest.mark.parametrize(("path", "name"), sorted({test for _, tests in ROWS for test in tests}))
def test_the_attack_exists_and_runs(path, name):
    tree = ast.parse((TESTS / path).read_text())
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    assert len(found) == 1
    assert switched_off(found[0]) == []
