"""The benchmark's modules stand beside each other in a folder of their own, as `bench/run.py` finds them."""

import importlib
import os
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def bench(monkeypatch):
    """A function that imports one of them; they are forgotten afterwards, since their names are plain words."""
    monkeypatch.syspath_prepend(str(BENCH))
    before = set(sys.modules)
    directory = os.getcwd()
    yield importlib.import_module
    os.chdir(directory)  # what is measured is started from its own
    for name in set(sys.modules) - before:
        if (BENCH / f"{name}.py").exists():
            del sys.modules[name]
