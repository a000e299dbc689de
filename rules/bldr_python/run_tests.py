"""Runs in a sandbox: a test's modules by pytest or unittest, with a report of each case, a filter and shards.

    run_tests.py SPEC [ARGUMENTS]

`SPEC` is a JSON object: `framework` ("pytest" or "unittest"), `files` and `modules` (the same test modules, by path and
by name), `bytecode` (directories that compile_sources.py made). From the environment: XML_OUTPUT_FILE (where the report
in JUnit's form goes), TESTBRIDGE_TEST_ONLY (a filter, as the option -k of both frameworks), TEST_TOTAL_SHARDS,
TEST_SHARD_INDEX and TEST_SHARD_STATUS_FILE, TEST_PREMATURE_EXIT_FILE. Modules in which nothing is found to be run fail;
a shard fails where there is nothing for any of them.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import re
import site
import sys
import tempfile
import time
import traceback
import unittest
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from xml.etree import ElementTree

NOTHING_FOUND = 5
"""pytest's exit code for a run without tests."""

_UNPRINTABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Shard:
    """Which cases this process runs: every `total`-th, from the one at `index`. `found` counts those of all shards."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.total = int(env.get("TEST_TOTAL_SHARDS") or 1)
        self.index = int(env.get("TEST_SHARD_INDEX") or 0)
        self.found = 0
        status = env.get("TEST_SHARD_STATUS_FILE")
        if status:
            with open(status, "wb"):  # tells that shards are understood
                pass

    def takes(self, number: int) -> bool:
        return number % self.total == self.index


class Report(unittest.TextTestResult):
    """What unittest tells, and a list of cases for the report."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.cases: list[ElementTree.Element] = []
        self._started_s = 0.0
        self._now: ElementTree.Element | None = None

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802  # unittest's name
        super().startTest(test)
        self._started_s = time.perf_counter()
        self._now = self._case(test)

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802  # unittest's name
        if self._now is not None:
            self._now.set("time", f"{time.perf_counter() - self._started_s:.3f}")
        self._now = None
        super().stopTest(test)

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802  # unittest's name
        super().addError(test, err)
        self._add(test, "error", err)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802  # unittest's name
        super().addFailure(test, err)
        self._add(test, "failure", err)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:  # noqa: N802  # unittest's name
        super().addSubTest(test, subtest, err)
        if err is not None:
            kind = "failure" if issubclass(err[0], test.failureException) else "error"
            self._add(test, kind, err, about=str(subtest))

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802  # unittest's name
        super().addSkip(test, reason)
        self._element(test, "skipped", reason)

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802  # unittest's name
        super().addExpectedFailure(test, err)
        self._element(test, "skipped", "expected to fail")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802  # unittest's name
        super().addUnexpectedSuccess(test)
        self._element(test, "failure", "it was expected to fail")

    def write(self, path: str) -> None:
        suites = ElementTree.Element("testsuites")
        suite = ElementTree.SubElement(suites, "testsuite", name="unittest", tests=str(len(self.cases)))
        for count, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(count, str(sum(case.find(kind) is not None for case in self.cases)))
        suite.extend(self.cases)
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        ElementTree.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)

    def _case(self, test: unittest.TestCase) -> ElementTree.Element:
        owner, _, name = test.id().rpartition(".")
        if not isinstance(test, unittest.TestCase):  # what went wrong before or after the cases of a class
            owner, name = "", str(test)
        case = ElementTree.Element("testcase", classname=_printable(owner), name=_printable(name), time="0.000")
        self.cases.append(case)
        return case

    def _add(self, test: unittest.TestCase, kind: str, err: Any, about: str = "") -> None:
        text = "".join(traceback.format_exception(*err))
        self._element(test, kind, f"{about}: {err[1]}" if about else str(err[1]), text)

    def _element(self, test: unittest.TestCase, kind: str, message: str, text: str = "") -> None:
        case = self._case(test) if self._now is None else self._now
        ElementTree.SubElement(case, kind, message=_printable(message)).text = _printable(text)


def main(spec_path: str, arguments: list[str]) -> int:
    with open(spec_path, encoding="utf-8") as file:
        spec = json.load(file)
    # The directory of this program is none of the test's; what `site` adds without looking for installed modules is.
    sys.path[:1] = []
    site.setquit()
    site.setcopyright()
    site.sethelper()
    _use_bytecode(spec["bytecode"])
    shard = Shard(os.environ)
    run = _pytest if spec["framework"] == "pytest" else _unittest
    premature = os.environ.get("TEST_PREMATURE_EXIT_FILE")
    if premature:
        with open(premature, "wb"):  # one that is left tells of a test that ended the process
            pass
    code = run(spec, arguments, shard)
    if premature and os.path.exists(premature):
        os.remove(premature)
    if code == NOTHING_FOUND:
        if shard.found:  # the other shards have them
            return 0
        sys.stdout.flush()
        sys.stderr.write(f"no tests were found in {', '.join(spec['files'])}\n")
    return code


def _use_bytecode(directories: list[str]) -> None:
    """Puts what was compiled where the import system looks for it, also that of programs which the tests start."""
    if not directories:
        return
    sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = tempfile.mkdtemp(prefix="bytecode-")
    for top in directories:
        for directory, _, names in os.walk(top):
            place = ""
            for name in names:
                compiled = os.path.join(directory, name)
                source = os.path.abspath(os.path.relpath(compiled, top)[:-1])
                cached = importlib.util.cache_from_source(source)
                if not place:
                    place = os.path.dirname(cached)
                    os.makedirs(place, exist_ok=True)
                if not os.path.lexists(cached):  # several libraries may hold one source; the first counts
                    os.symlink(os.path.abspath(compiled), cached)


def _pytest_plugin(shard: Shard) -> object:
    """Leaves the other shards' cases out. Comes last, as what the filter leaves is what is divided."""
    import pytest

    class Plugin:
        @pytest.hookimpl(trylast=True)
        def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
            shard.found = len(items)
            others = [item for number, item in enumerate(items) if not shard.takes(number)]
            if others:
                config.hook.pytest_deselected(items=others)
                items[:] = [item for number, item in enumerate(items) if shard.takes(number)]

    return Plugin()


def _pytest(spec: dict[str, Any], arguments: list[str], shard: Shard) -> int:
    import pytest

    options = ["-p", "no:cacheprovider"]
    report = os.environ.get("XML_OUTPUT_FILE")
    if report:
        options.append(f"--junitxml={report}")
    wanted = os.environ.get("TESTBRIDGE_TEST_ONLY")
    if wanted:
        options += ["-k", wanted]
    plugins = [_pytest_plugin(shard)] if shard.total > 1 else []
    return int(pytest.main([*options, *spec["files"], *arguments], plugins=plugins))


def _unittest(spec: dict[str, Any], arguments: list[str], shard: Shard) -> int:
    parser = argparse.ArgumentParser(prog="unittest")
    parser.add_argument("-k", dest="patterns", action="append", default=[], help="only cases whose name holds this")
    parser.add_argument("-v", "--verbose", action="store_true", help="one line for each case")
    parser.add_argument("-f", "--failfast", action="store_true", help="stop at the first failure")
    parser.add_argument("-b", "--buffer", action="store_true", help="show what a case prints only if it fails")
    options = parser.parse_args(arguments)
    patterns = [*options.patterns, *filter(None, [os.environ.get("TESTBRIDGE_TEST_ONLY")])]
    loader = unittest.TestLoader()
    if patterns:
        loader.testNamePatterns = [pattern if "*" in pattern else f"*{pattern}*" for pattern in patterns]
    suite = unittest.TestSuite()
    for name in spec["modules"]:
        suite.addTest(_loaded(loader, name))
    cases = list(_flat(suite))
    shard.found = len(cases)
    chosen = unittest.TestSuite(case for number, case in enumerate(cases) if shard.takes(number))
    runner = unittest.TextTestRunner(
        resultclass=Report, verbosity=1 + options.verbose, failfast=options.failfast, buffer=options.buffer
    )
    result = runner.run(chosen)
    report = os.environ.get("XML_OUTPUT_FILE")
    if report and isinstance(result, Report):
        result.write(report)
    if result.testsRun == 0 and result.wasSuccessful() and not result.skipped:
        return NOTHING_FOUND
    return 0 if result.wasSuccessful() else 1


def _loaded(loader: unittest.TestLoader, name: str) -> unittest.TestSuite | unittest.TestCase:
    """The cases of a module; one that cannot be imported is a case that fails."""
    try:
        module = importlib.import_module(name)
    except unittest.SkipTest as skipped:
        return _stand_in(name, unittest.skip(str(skipped))(lambda _: None))
    except Exception:
        text = traceback.format_exc()

        def fail(_: unittest.TestCase) -> None:
            raise ImportError(f"{name} cannot be imported\n{text}")

        return _stand_in(name, fail)
    return loader.loadTestsFromModule(module)


def _stand_in(name: str, method: Callable[[unittest.TestCase], None]) -> unittest.TestCase:
    kind: type[unittest.TestCase] = type("Module", (unittest.TestCase,), {"__module__": name, "importing": method})
    return kind("importing")


def _flat(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _flat(test)
        else:
            yield test


def _printable(text: str) -> str:
    """Without what XML cannot hold."""
    return _UNPRINTABLE.sub("?", text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
