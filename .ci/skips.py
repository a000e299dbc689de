#!/usr/bin/env python3
"""Sums up the JUnit files of CI's stages and fails on every skip that `.ci/expected-skips` does not list.

usage: .ci/skips.py RESULTS...   where each file is called STAGE.root.xml or STAGE.user.xml; STAGE-again holds the tests
                                 that failed in STAGE and were tried once more
"""

import sys
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path
from xml.etree import ElementTree

EXPECTED = Path(__file__).with_name("expected-skips")


def expected_skips(text: str) -> list[tuple[str, str, str]]:
    """Who, test pattern and reason of each line."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(who, test, reason.strip()) for who, test, reason in (line.split(None, 2) for line in lines)]


def test_id(case: ElementTree.Element) -> str:
    """`tests/a/test_b.py::Class::test_c[d]` of a test case whose `classname` is `tests.a.test_b.Class`."""
    parts = case.get("classname", "").split(".")
    last = next((i for i, part in enumerate(parts) if part.startswith("test_")), len(parts) - 1)
    file = "/".join(parts[: last + 1]) + ".py"
    return "::".join([file, *parts[last + 1 :], case.get("name", "")])


def is_expected(skips: list[tuple[str, str, str]], stage: str, who: str, test: str, reason: str) -> bool:
    """Whether a line names this user or stage, this test and this reason. Brackets stand for themselves."""
    return any(
        (line_who in (who, "any") or fnmatchcase(stage, line_who))
        and fnmatchcase(test, pattern.replace("[", "[[]"))
        and fnmatchcase(reason, line_reason)
        for line_who, pattern, line_reason in skips
    )


def passed_again(files: list[str]) -> set[tuple[str, str, str]]:
    """Stage, user and test of everything that passed at its second try."""
    found = set()
    for file in files:
        stage, who, _ = Path(file).name.rsplit(".", 2)
        if stage.endswith("-again"):
            for case in ElementTree.parse(file).getroot().iter("testcase"):  # noqa: S314  # our own file
                if not any(case.find(what) is not None for what in ("failure", "error", "skipped")):
                    found.add((stage.removesuffix("-again"), who, test_id(case)))
    return found


def main(files: list[str]) -> int:
    """Print every skip with its verdict, then one line in pytest's form for all stages together."""
    skips = expected_skips(EXPECTED.read_text())
    totals: Counter[str] = Counter()
    seconds = 0.0
    unexpected = 0
    again = passed_again(files)
    for file in files:
        stage, who, _ = Path(file).name.rsplit(".", 2)
        for suite in ElementTree.parse(file).getroot().iter("testsuite"):  # noqa: S314  # our own file
            seconds += float(suite.get("time", "0"))
        for case in ElementTree.parse(file).getroot().iter("testcase"):  # noqa: S314
            failed = case.find("failure") is not None or case.find("error") is not None
            if failed and (stage, who, test_id(case)) in again:
                print(f"{stage} as {who}: failed at first, and passed alone: {test_id(case)}")
            elif failed:
                totals["failed"] += 1
                print(f"{stage} as {who}: FAILED {test_id(case)}")
            elif (skipped := case.find("skipped")) is not None:
                totals["skipped"] += 1
                expected = is_expected(skips, stage, who, test_id(case), skipped.get("message", ""))
                unexpected += not expected
                verdict = "expected skip" if expected else "UNEXPECTED SKIP"
                print(f"{stage} as {who}: {verdict} {test_id(case)}: {skipped.get('message')}")
            else:
                totals["passed"] += 1
    if unexpected:
        print(f"{unexpected} skips are not in {EXPECTED.name}: let the tests run, or list them with their reason")
    said = ", ".join(f"{totals[what]} {what}" for what in ("failed", "passed", "skipped") if totals[what])
    print(f"===== {said or 'no tests ran'} in {seconds:.2f}s =====")
    return 1 if unexpected or totals["failed"] or not totals["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
