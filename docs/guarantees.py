"""Writes the table of docs/reference/guarantees.md: what each platform promises, and how that was proven.

usage: python docs/guarantees.py [--write]      without it, the exit code says whether the page is up to date
"""

import os
import sys
import tomllib
from typing import Any, NamedTuple

from bldr.api import GUARANTEES, LIMITS, Isolation, Level
from bldr_linux.compile import Host, limit_levels
from bldr_linux.confined.sandbox import LandlockSandbox
from bldr_linux.sandbox import LinuxSandbox
from bldr_macos.sandbox import MacosSandbox
from bldr_plain.sandbox import PlainSandbox
from bldr_windows.sandbox import WindowsSandbox

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(HERE, "reference/guarantees.md")
PROOFS = os.path.join(HERE, "guarantees.toml")
BEGIN = "<!-- what follows is written by `docs/guarantees.py --write` -->"
END = "<!-- what precedes was written by `docs/guarantees.py --write` -->"
HOW = ("attacked", "elsewhere", "emulated", "evaluated")


class Column(NamedTuple):
    """One tier of one platform."""

    title: str
    platform: str
    levels: Isolation


def columns() -> list[Column]:
    """What platforms promise where the machine holds nothing back; of Linux's users only root has control groups."""
    ungrouped = Host(root="/", relative=False, is_root=False)
    return [
        Column("linux, root", "linux", LinuxSandbox.promised),
        Column("linux, a user", "linux", LinuxSandbox.promised | limit_levels(ungrouped)),
        Column("landlock", "landlock", LandlockSandbox.promised),
        Column("plain", "plain", PlainSandbox.promised),
        Column("macos", "macos", MacosSandbox().promised),
        Column("windows", "windows", WindowsSandbox().promised),
    ]


def proofs() -> dict[str, dict[str, tuple[str, str]]]:
    """Platform -> guarantee -> how it was proven, and by which test below `tests/`."""
    with open(PROOFS, "rb") as file:
        data: dict[str, Any] = tomllib.load(file)
    return {
        platform: {name: (how, test) for how, tests in kinds.items() for name, test in tests.items()}
        for platform, kinds in data.items()
    }


def table(names: tuple[str, ...], head: str) -> list[str]:
    """Rows of levels, with a link to the test where there is one."""
    known, tiers = proofs(), columns()
    lines = [f"| {head} | {' | '.join(tier.title for tier in tiers)} |", "|---" * (len(tiers) + 1) + "|"]
    for name in names:
        cells = [_cell(tier.levels.get(name, Level.NONE), known[tier.platform].get(name)) for tier in tiers]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return lines


def _cell(level: Level, proof: tuple[str, str] | None) -> str:
    if level is Level.NONE:
        return "none"
    said = level.name.lower()
    if proof is None:
        return f"{said}, untried"
    how, test = proof
    return f"{said}, [{how}](../../tests/{test.partition('::')[0]})"


def generated() -> str:
    """What stands between the markers."""
    lines = [*table(GUARANTEES, "guarantee"), "", *table(LIMITS, "limit"), "", "### The tests", ""]
    for platform, known in proofs().items():
        lines += [f"{platform}:", ""]
        lines += [f"* `{name}`: {how} by `{known[name][1]}`" for name in known for how in (known[name][0],)]
        lines.append("")
    return "\n".join(lines)


def page(text: str) -> str:
    """The page with what is generated put in its place."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{generated()}\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Write the page, or tell whether it is what would be written."""
    with open(PAGE, encoding="utf-8") as file:
        text = file.read()
    wanted = page(text)
    if arguments == ["--write"]:
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(wanted)
        return 0
    if wanted != text:
        sys.stderr.write("docs/reference/guarantees.md is out of date: run `python docs/guarantees.py --write`\n")
    return int(wanted != text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
