"""Tables: races and bars as Markdown, for the terminal and for the generated part of `docs/performance.md`."""

import os
import platform
from collections.abc import Sequence

from bars import Verdict
from measure import Race, Row

BEGIN = "<!-- what follows is written by `make bench` -->"
END = "<!-- what precedes was written by `make bench` -->"
_HEAD = ("", "median", "least", "ratio", "CPU", "memory")


def machine() -> str:
    """What kind of machine the figures are from; nothing that tells which one."""
    kernel = ".".join(platform.release().split(".")[:2])
    cpus = os.cpu_count() or 1
    cores = f"{cpus} core{'s' if cpus > 1 else ''}"
    return f"{cores} ({platform.machine()}), {platform.system()} {kernel}, Python {platform.python_version()}"


def markdown(race: Race) -> str:
    """One race, the reference first; aligned, so that it can be read as it is."""
    title = f"### {race.title[:1].upper()}{race.title[1:]}\n"
    if race.rows:
        table = [f"Interleaved runs: {race.rows[0].runs}.\n", aligned([_HEAD, *(_cells(row) for row in race.rows)])]
    else:
        table = []
    skipped = [f"\nSkipped: {absent.name} (to have it: {absent.install})." for absent in race.skipped]
    return "\n".join([title, *table, *skipped, ""])


def bars(verdicts: Sequence[Verdict]) -> str:
    """What is to be reached beside what was measured."""
    lines = [("to reach", "bar", "measured", "of the least figures", "")]
    for verdict in verdicts:
        bar, reading = verdict.bar, verdict.reading
        known = reading is not None and reading.value is not None
        lines.append(
            (
                f"{bar.what} (`{bar.name}`)",
                f"{'>=' if bar.at_least else '<='} {bar.text(bar.bar)}",
                bar.text(reading.value) if known and reading and reading.value is not None else "",
                bar.text(reading.least) if known and reading and reading.least is not None else "",
                f"{verdict.word}{f' ({reading.note})' if known and reading and reading.note else ''}",
            )
        )
    return aligned(lines, words=(0, 4))


def aligned(lines: Sequence[Sequence[str]], words: Sequence[int] = (0,)) -> str:
    """A table in Markdown that can be read as it is: the head first; the columns `words` stand left."""
    columns = range(len(lines[0]))
    widths = [max(3, *(len(line[column]) for line in lines)) for column in columns]
    rule = ["-" * widths[column] if column in words else "-" * (widths[column] - 1) + ":" for column in columns]
    return "\n".join(_line(line, widths, words) for line in (lines[0], rule, *lines[1:]))


def _line(cells: Sequence[str], widths: Sequence[int], words: Sequence[int]) -> str:
    placed = (
        cell.ljust(width) if column in words else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return f"| {' | '.join(placed)} |"


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        duration(row.median_s),
        duration(row.least_s),
        f"{row.ratio:.2f}",
        "" if row.cpu_s is None else duration(row.cpu_s),
        "" if row.memory_bytes is None else f"{row.memory_bytes / (1 << 20):.0f} MiB",
    )


def duration(seconds: float) -> str:
    """Three digits or so, in the unit that suits."""
    if seconds < 1:
        return f"{seconds * 1000:.2f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"


def replace_generated(document: str, text: str, begin: str = BEGIN, end: str = END) -> str:
    """`document` with what stands between two markers replaced. Raises ValueError where the markers are missing."""
    before, found_begin, rest = document.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"the markers are missing: {begin} and {end}")
    return f"{before}{begin}\n\n{text}\n{end}{after}"
