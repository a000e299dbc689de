"""`make bench`: bldr beside its peers, all in interleaved runs, and every bar with its figure.

    bench/run.py [--only SUBJECT] [--size N] [--full] [--runs N] [--json FILE]
    bench/run.py --quick       # `make bench-quick`: a minute, fails for what got grossly worse
    bench/run.py --profile     # where bldr's own time goes

A whole run writes its tables into docs/performance.md and its constants into docs/concepts/scale.md; every run leaves
its figures under bench/results/.
"""

import argparse
import compileall
import importlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator

import bars
import constants
import history
import peers
import table
from measure import Race

_TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_DOCUMENT = os.path.join(_TOP, "docs", "performance.md")
_CONSTANTS = os.path.join(_TOP, "docs", "concepts", "scale.md")
_SUBJECTS = ("startup", "launches", "lua", "bazel", "graphs", "wide")
_USUAL = tuple(name for name in _SUBJECTS if name != "wide")  # whose clean build takes minutes
_SIZES = (1000, 10_000, 100_000)


def main() -> int:
    """Measure, print, keep. Returns the exit code."""
    arguments = _arguments()
    # A byte code cache that may not be written would be paid for in every run, on one side only.
    for folder in ("builder", "platforms", "rules"):
        compileall.compile_dir(os.path.join(_TOP, folder), quiet=2)
    with tempfile.TemporaryDirectory(prefix="bldr-bench-", ignore_cleanup_errors=True) as directory:
        if arguments.profile:
            import profiles

            print(profiles.run(directory, targets=arguments.size[0] if arguments.size else 1000))
            return 0
        if arguments.quick:
            import quick

            return quick.run(directory)
        _measure(directory, arguments)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run.py", description="measure bldr beside its peers")
    parser.add_argument("--only", choices=_SUBJECTS, action="append", help="one subject; may be given again")
    parser.add_argument("--size", type=int, choices=_SIZES, action="append", help="graphs of this size; again: more")
    parser.add_argument("--full", action="store_true", help="build 100,000 targets clean as well, and keep them")
    parser.add_argument("--runs", type=int, default=9, metavar="N", help="runs of each contender; dear ones have less")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    parser.add_argument("--quick", action="store_true", help="a minute; exit code 1 where something got grossly worse")
    parser.add_argument("--profile", action="store_true", help="say where the time of bldr goes")
    return parser.parse_args()


def _measure(directory: str, arguments: argparse.Namespace) -> None:
    start_s = time.monotonic()
    versions = peers.versions()
    print(f"machine: {table.machine()}\npeers: {', '.join(versions)}", flush=True)
    print("ratios are to the first line of each table\n", flush=True)
    races = []
    for race in _races(directory, arguments):
        if race.rows or race.skipped:
            print(table.markdown(race), flush=True)
        races.append(race)
    verdicts = bars.verdicts(reading for race in races for reading in race.readings)
    print(f"{table.bars([verdict for verdict in verdicts if verdict.reading])}\n")
    chosen = (arguments.only, arguments.size, arguments.full)
    kind = "whole" if not any(chosen) else " ".join(map(str, chosen))
    before = history.last(table.machine(), kind)
    if before:
        changed = history.changes(before, verdicts) or ["  nothing by more than a tenth"]
        print("\n".join([f"since the last run here ({before['date']}):", *changed]))
    history.save(history.as_json(table.machine(), kind, races, versions), *([arguments.json] if arguments.json else []))
    if not arguments.only and not arguments.size:
        _write_document(versions, races, verdicts)
    print(f"it took {time.monotonic() - start_s:.0f} s")


def _races(directory: str, arguments: argparse.Namespace) -> Iterator[Race]:
    for name in _SUBJECTS:
        if name not in (arguments.only or (_SUBJECTS if arguments.full else _USUAL)):
            continue
        # In a directory of its own, which goes at once: a disk that is full, or busy deleting, slows the next down.
        place = os.path.join(directory, name)
        os.mkdir(place)
        if name == "graphs":
            module = importlib.import_module("graphs")
            yield from module.run(
                place, full=arguments.full, runs=arguments.runs, sizes=sorted(arguments.size or _SIZES)
            )
        elif name == "bazel":
            yield from importlib.import_module("graphs").bazel(place, runs=2)
        else:
            yield from importlib.import_module(name).run(place, runs=arguments.runs)
        os.chdir(directory)
        shutil.rmtree(place, ignore_errors=True)


def _write_document(versions: list[str], races: list[Race], verdicts: list[bars.Verdict]) -> None:
    date = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    load = os.getloadavg()[1]
    head = [
        f"{date} UTC; {table.machine()}; load average at the end {load:.1f}. Peers: {', '.join(versions)}.",
        "Ratios are to the first line of each table.\n",
        table.bars(verdicts),
        "",
    ]
    text = "\n".join([*head, *(table.markdown(race) for race in races if race.rows or race.skipped)])
    _replace(_DOCUMENT, text)
    _replace(_CONSTANTS, f"{head[0]}\n\n{constants.markdown(constants.constants(races))}")


def _replace(path: str, text: str) -> None:
    with open(path, encoding="utf-8") as file:
        document = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(table.replace_generated(document, text))


if __name__ == "__main__":
    sys.exit(main())
