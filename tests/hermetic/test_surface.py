"""`bldr.hermetic` offers what its `__all__` says, each name from the module that it says, and imports no more."""

import ast
import subprocess
import sys
from importlib import import_module

import pytest

import bldr.hermetic


def test_every_name_is_the_one_of_its_home():
    with open(bldr.hermetic.__file__) as file:
        tree = ast.parse(file.read())
    homes = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("bldr.")
        for alias in node.names
    }
    assert sorted(homes) == sorted(bldr.hermetic.__all__)
    for name, home in homes.items():
        assert getattr(bldr.hermetic, name) is getattr(import_module(home), name)


def test_other_names_are_errors():
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        bldr.hermetic.nonsense  # noqa: B018


def test_the_pure_half_imports_nothing_that_it_does_not_use():
    dear = "subprocess", "psutil", "socket", "tempfile", "asyncio", "bldr.hermetic.executor"
    code = f"import sys, bldr.hermetic as h; h.check_spec, h.decide; print([m for m in {dear} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
