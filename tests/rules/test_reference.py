"""What docs/reference/rules.md says of the bundled toolchains is what they ask for."""

import re
from pathlib import Path

from bldr.plugins import load_plugins

REPOSITORY = Path(__file__).parents[2]


def test_the_table_of_toolchains_names_every_one_and_the_variables_that_it_depends_on():
    bundled = {
        name: set(detector.environment)
        for name, (detector, _) in load_plugins().detectors.items()
        if (REPOSITORY / "rules" / type(detector).__module__.partition(".")[0]).is_dir()
    }
    text = (REPOSITORY / "docs/reference/rules.md").read_text()
    section = text.partition("\n## Toolchains\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w-]+)` \|.*\| ([^|]*) \|$", section, re.MULTILINE)
    assert {name: set(re.findall(r"`(\w+)`", variables)) for name, variables in rows} == bundled
