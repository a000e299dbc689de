"""History: the figures of every run as JSON under `bench/results/`, and what changed since the last on this machine."""

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bars import Verdict, by_name
from measure import Race

RESULTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results")
_NOTABLE = 0.1
"""A change by less than this part is noise."""


def as_json(machine: str, kind: str, races: Sequence[Race], versions: Sequence[str]) -> str:
    """All of one run; `kind` says what was run, since only runs of one kind compare."""
    found: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine,
        "kind": kind,
        "peers": list(versions),
        "readings": {
            reading.bar: {"value": reading.value, "least": reading.least, "note": reading.note}
            for race in races
            for reading in race.readings
        },
        "races": [
            {
                "title": race.title,
                "rows": [row._asdict() for row in race.rows],
                "skipped": [absent._asdict() for absent in race.skipped],
            }
            for race in races
        ],
    }
    return json.dumps(found, indent=1) + "\n"


def save(text: str, *wanted: str, directory: str = RESULTS) -> None:
    """Keep one run, and write it to the files `wanted` as well."""
    os.makedirs(directory, exist_ok=True)
    name = time.strftime("%Y%m%d-%H%M%S.json", time.gmtime())
    for path in (os.path.join(directory, name), *wanted):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def last(machine: str, kind: str, directory: str = RESULTS) -> Mapping[str, Any] | None:
    """The latest run of this kind on this machine; None where there is none that can be read."""
    names = sorted(os.listdir(directory), reverse=True) if os.path.isdir(directory) else []
    for name in names:
        try:
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                found = json.load(file)
        except (OSError, ValueError):
            continue
        if found.get("machine") == machine and found.get("kind") == kind:
            return dict(found)
    return None


def changes(before: Mapping[str, Any], verdicts: Iterable[Verdict]) -> list[str]:
    """One line for each bar whose figure got notably better or worse."""
    lines = []
    for verdict in verdicts:
        old = before.get("readings", {}).get(verdict.bar.name, {}).get("value")
        new = verdict.reading.value if verdict.reading else None
        if old and new and abs(new / old - 1) > _NOTABLE:
            better = (new > old) == verdict.bar.at_least
            bar = by_name(verdict.bar.name)
            lines.append(f"  {'better' if better else 'WORSE '} {bar.name:<16} {bar.text(old)} -> {bar.text(new)}")
    return lines
