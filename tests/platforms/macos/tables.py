"""Decision tables: what a tool needs of a Mac and what no action may do, as data beside this file."""

import os
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import machine
from seatbelt import Mac, Profile, operations

from bldr.api import Input, NetworkPolicy

FOLDER = Path(__file__).parent / "tables"
EVERY = "every_program"
_NETWORKS = {
    "none": NetworkPolicy(),
    "host": NetworkPolicy(host=True),
    "localhost": NetworkPolicy.allow_hosts(["localhost:8080"]),
}


class Line(NamedTuple):
    """One question, what its answer must be, and what is behind it."""

    wanted: str
    question: str
    why: str


class Table(NamedTuple):
    """One tool, or several: what is staged and declared for it, and the lines."""

    name: str
    staged: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    outputs: tuple[str, ...] = ()
    network: str = "none"
    lines: tuple[Line, ...] = ()


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.toml") if path.stem != EVERY)


def load(name: str, places: machine.Places) -> Table:
    """A tool's table, with what holds for every program unless the tool's own lines say otherwise."""
    own, every = _read(name), _read(EVERY)
    tool = own.pop("tool", {})
    assert set(own) == {"needs", "denied"}
    staged = _filled(tool.pop("staged", ()), places)
    copies = [f"{places.sysroot}{path}" for path in staged]
    shown = [Line("allow", f"file-read-data {path}", "what is staged has two names") for path in (*staged, *copies)]
    directories = {os.path.dirname(path) for path in staged} - {""}
    shown += [
        Line("allow", f"file-read-data|DIRECTORY {path}", "modules and libraries are found by listing")
        for path in sorted(directories)
        if os.path.basename(path) != "bin"
    ]
    asked = [*_lines(own, places), *shown, *(_lines(every, places) if name != EVERY else ())]
    lines = {line.question: line for line in reversed(asked)}
    return Table(
        name,
        staged=staged,
        roots=_filled(tool.pop("roots", ()), places),
        inputs=tuple(Input(*_filled(pair, places)) for pair in tool.pop("inputs", ())),
        outputs=_filled(tool.pop("outputs", ()), places),
        network=tool.pop("network", "none"),
        lines=tuple(lines.values()),
        **tool,
    )


def together(tables: Sequence[Table]) -> Table:
    """One action with the tools of all."""
    staged = dict.fromkeys(path for table in tables for path in table.staged)
    roots = dict.fromkeys(path for table in tables for path in table.roots)
    lines = dict.fromkeys(line for table in tables for line in table.lines)
    return Table(" ".join(table.name for table in tables), tuple(staged), tuple(roots), lines=tuple(lines))


def made_for(table: Table, places: machine.Places, links: dict[str, str] | None = None) -> tuple[Profile, Mac]:
    """The profile that the plugin prints for the tool, and the machine."""
    host, mac = machine.host(places, table.staged, links)
    asked = machine.launch(
        places,
        staged=table.staged,
        roots=table.roots,
        inputs=table.inputs,
        outputs=table.outputs,
        network=_NETWORKS[table.network],
    )
    return machine.profile(asked, host, places), mac


def questions(table: Table, mac: Mac) -> Iterator[Line]:
    """The table's lines, and for what it needs by a path the directories above, which realpath(3) and getcwd(3) look
    at one by one."""
    above: dict[str, Line] = {}
    for line in table.lines:
        yield line
        operation, _, path = line.question.partition(" ")
        if line.wanted == "allow" and operations.kind(operation.partition("|")[0]) == "path" and path.startswith("/"):
            for name in (path, mac.resolve(path)[0]):
                while (name := os.path.dirname(name)) != "/":
                    above[name] = Line("allow", f"lstat {name}", f"realpath of {path}")
    yield from above.values()


def wrong(table: Table, profile: Profile, mac: Mac) -> list[str]:
    """All lines that the profile does not answer as the table says."""
    found = []
    for line in questions(table, mac):
        answer = profile.answer(line.question, mac)
        if answer.action != line.wanted:
            by = f"line {answer.rule.form.line}" if answer.rule else "the default"
            about = answer.target.path or answer.target.name or ""
            found.append(f"{line.question}: {answer.action} by {by} ({answer.operation} {about}), is for: {line.why}")
    return found


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text())


def _lines(found: dict[str, Any], places: machine.Places) -> Iterator[Line]:
    for kind, wanted in (("needs", "allow"), ("denied", "deny")):
        for why, texts in found[kind].items():
            for text in texts:
                yield Line(wanted, places.fill(text), why)


def _filled(texts: Sequence[str], places: machine.Places) -> tuple[str, ...]:
    return tuple(map(places.fill, texts))
