"""The page of the API names everything that there is, and nothing else."""

import re
from pathlib import Path

import bldr.api
from bldr.api.deprecation import DEPRECATED
from bldr.api.hooks import Hooks

PAGE = (Path(__file__).parents[2] / "docs/reference/plugin-api.md").read_text()


def section(title):
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_name_in_a_group():
    rows = re.findall(r"^\| (`[^|]+) \|", section("Names"), re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(bldr.api.__all__)
    assert all(hasattr(bldr.api, name) for name in bldr.api.__all__)
    assert not set(DEPRECATED).intersection(bldr.api.__all__)


def test_every_hook():
    hooks = re.findall(r"^\| `(bldr_\w+)` \|", section("Hooks"), re.MULTILINE)
    assert sorted(hooks) == sorted(name for name in vars(Hooks) if name.startswith("bldr_"))


def test_the_version_is_the_one_that_there_is():
    assert set(re.findall(r'bldr_api = "([^"]+)"', PAGE)) == {bldr.api.API_VERSION}
