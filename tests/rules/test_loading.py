"""Every build loads all plugins and uses few: what analyses, detects or reads lock files is imported when used."""

import subprocess
import sys
from pathlib import Path

import pytest

RULES = Path(__file__).parents[2] / "rules"

OFFERS = {"attributes", "handler", "locks", "plugin", "toolchain"}
"""The modules that say what a plugin offers."""

SMALL = {"bldr_protobuf"}  # its handler imports less than a module of its own would take

UNUSED = {"bldr.api.content", "bldr.api.elf", "bldr.api.programs", "json", "locale", "subprocess", "tomli"}
"""What analyses and detections import: each of them takes longer than to load a plugin."""

LOAD = """
import sys
from bldr.lean import import_msgspec
import_msgspec()
import bldr.plugins
before = set(sys.modules)
registry = bldr.plugins.load_plugins()
assert registry.handlers and registry.detectors and registry.locks and not registry.broken
print(*(set(sys.modules) - before), sep="\\n")
"""


@pytest.fixture(scope="module")
def imported():
    """The modules that a fresh interpreter imports in order to load all plugins."""
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("package", sorted(path.name for path in RULES.glob("bldr_*")))
def test_of_a_language_nothing_is_imported_but_what_it_offers(imported, package):
    found = {name.partition(".")[2] for name in imported if name.startswith(f"{package}.")}
    assert {"attributes", "handler", "plugin"} <= found
    assert package in SMALL or found <= OFFERS


def test_what_takes_long_to_import_is_left_for_later(imported):
    assert imported & UNUSED == set()
