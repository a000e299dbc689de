"""JUnit XML: what the schema accepts, whatever tests print or write."""

import os
import re

import pytest
from lxml import etree

from bldr.api.errors import BldrError
from bldr.api.sandbox import Usage, Verdict
from bldr.report.junit import JUnitListener, read_cases

SCHEMA = etree.XMLSchema(etree.parse(os.path.join(os.path.dirname(__file__), "junit.xsd")))


@pytest.fixture
def report(tmp_path):
    """Feed events to a listener; the document it wrote has passed the schema."""

    def make(*events):
        path = tmp_path / "junit.xml"
        listener = JUnitListener(str(path), now=lambda: 1_700_000_000.0, host="builder")
        for event in events:
            listener.on_event(event)
        listener.close()
        document = etree.parse(str(path))
        SCHEMA.assertValid(document)
        for suite in document.getroot():
            cases = suite.findall("testcase")
            assert int(suite.get("tests")) == len(cases)
            for kind, count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
                assert int(suite.get(count)) == sum(case.find(kind) is not None for case in cases)
        assert os.listdir(tmp_path).count("junit.xml") == 1
        assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]
        return document.getroot()

    return make


def outcomes(suite):
    return {case.get("name"): case[0].tag if len(case) else "passed" for case in suite.findall("testcase")}


def test_one_suite_for_each_target_in_the_order_of_labels(report, tested):
    root = report(tested("//b:b"), tested("//a/c:t", "failed", message="exit code 1"))
    assert [(suite.get("package"), suite.get("name"), suite.get("id")) for suite in root] == [
        ("//a/c", "t", "0"),
        ("//b", "b", "1"),
    ]
    assert root[0].get("timestamp") == "2023-11-14T22:13:20"
    assert root[0].find("testcase").get("classname") == "a.c"
    assert root[0].find("testcase/failure").get("message") == "exit code 1"


def test_no_tests_are_a_document_too(report):
    assert len(report()) == 0


@pytest.mark.parametrize(
    ("status", "outcome", "kind"),
    [("failed", "failure", "failed"), ("timeout", "error", "timeout"), ("not_run", "error", "not run")],
)
def test_how_a_test_ended(report, tested, status, outcome, kind):
    root = report(tested(status=status))
    assert root[0].find(f"testcase/{outcome}").get("type") == kind


def test_runs_of_one_test_are_cases_of_one_suite(report, tested):
    root = report(tested(run=1, runs=2), tested(status="failed", run=2, runs=2))
    assert outcomes(root[0]) == {"unit (run 1 of 2)": "passed", "unit (run 2 of 2)": "failure"}
    assert root[0].get("time") == "2.500"


def test_what_cannot_stand_in_xml_does_not(report, tested, tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"\x00\x01\x1b[31m]]> <b>&amp; \xff \xed\xa0\x80 \xef\xbf\xbf end")
    root = report(tested(status="failed", message='bad "\x02<&>\ufffe"', log=str(log)))
    assert "]]> <b>&amp;" in root[0].findtext("system-out")
    assert root[0].findtext("system-out").endswith("end\n")


@pytest.fixture
def own_xml(tmp_path):
    def write(text):
        path = tmp_path / "own.xml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


OWN = """<?xml version="1.0"?>
<testsuites tests="4"><testsuite name="s"><testsuite name="inner">
<testcase name="good" classname="T" time="0.5"/>
<testcase name="bad" classname="T"><failure message="4 != 5" type="Assertion">at line 3</failure></testcase>
<testcase name="worse" time="1,000.5"><system-out>x</system-out><error/></testcase>
<testcase name=" " classname="" time="nan"><skipped message="no network"/></testcase>
</testsuite></testsuite></testsuites>"""


def test_a_test_s_own_report_is_merged(report, tested, own_xml):
    root = report(tested(status="failed", xml=own_xml(OWN)))
    assert outcomes(root[0]) == {"good": "passed", "bad": "failure", "worse": "error", "unnamed": "skipped"}
    failure = root[0].find("testcase/failure")
    assert (failure.get("message"), failure.get("type"), failure.text) == ("4 != 5", "Assertion", "at line 3")
    cases = {case.get("name"): case for case in root[0].findall("testcase")}
    assert [cases[name].get("time") for name in ("good", "worse", "unnamed")] == ["0.500", "1000.500", "0.000"]
    assert cases["worse"].get("classname") == "app"


def test_a_crash_that_the_own_report_does_not_tell_is_a_case_besides(report, tested, own_xml):
    own = own_xml("<testsuite><testcase name='good' classname='T'/></testsuite>")
    assert outcomes(report(tested(status="failed", xml=own))[0]) == {"good": "passed", "unit": "failure"}
    assert outcomes(report(tested(status="passed", xml=own))[0]) == {"good": "passed"}


LAUGHS = """<?xml version="1.0"?><!DOCTYPE t [<!ENTITY a "haha"><!ENTITY b "&a;&a;&a;&a;">]>
<testsuite><testcase name="&b;" classname="x"/></testsuite>"""


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        '<!DOCTYPE t SYSTEM "file:///etc/passwd"><testsuite><testcase name="x"/></testsuite>',
        "<testsuite><testcase name=",
        "",
        b"\xff\xfe\x00garbage",
        '<?xml version="1.0" encoding="no-such"?><testsuite/>',
        b"<a>" * 100_000,
    ],
    ids=["entities", "external", "cut off", "empty", "binary", "encoding", "deep"],
)
def test_a_hostile_or_broken_report_counts_as_none(report, tested, own_xml, text):
    assert outcomes(report(tested(xml=own_xml(text)))[0]) == {"unit": "passed"}


def test_a_report_that_is_too_large_counts_as_none(own_xml):
    case = "<testcase name='x'/>"
    assert len(read_cases(own_xml(f"<testsuite>{case * 10}</testsuite>"), "c")) == 10
    assert read_cases(own_xml(f"<testsuite>{case * 900_000}</testsuite>"), "c") == []


def test_an_own_report_that_is_gone_counts_as_none(tmp_path):
    assert read_cases(str(tmp_path / "none"), "c") == []


def test_a_directory_that_is_not_there_is_told_before_anything_runs(tmp_path):
    with pytest.raises(BldrError, match="cannot write test results"):
        JUnitListener(str(tmp_path / "no" / "junit.xml"))


def test_the_file_that_was_there_stays_when_the_new_one_cannot_be_written(tmp_path, tested):
    path = tmp_path / "junit.xml"
    listener = JUnitListener(str(path))
    path.mkdir()
    with pytest.raises(OSError, match=re.escape(str(path))):
        listener.close()
    assert os.listdir(tmp_path) == ["junit.xml"]


def test_what_the_runs_of_a_test_used_is_a_property(report, tested, finished):
    def end(number, **fields):
        return finished(number, "//a:t", "Test", **fields)

    root = report(
        end(1, usage=Usage(cpu_s=1.5, memory_peak_bytes=7)),
        end(2, usage=Usage(cpu_s=2.0, memory_peak_bytes=9), verdict=Verdict("memory", 8, 9, "bytes")),
        finished(3, "//a:t", "CcLink", usage=Usage(cpu_s=99.0)),
        tested("//a:t", run=1, runs=2),
        tested("//a:t", "failed", run=2, runs=2),
        tested("//b:b"),
    )
    listed = [{item.get("name"): item.get("value") for item in suite.find("properties")} for suite in root]
    assert listed == [
        {
            "cached": "false",
            "memory_peak_bytes": "9",
            "cpu_s": "3.500",
            "verdict": "memory limit of 8 bytes reached (used 9 bytes)",
        },
        {"cached": "false"},
    ]


def case_of(name, inside=""):
    return f"<testcase name='{name}' classname='C'>{inside}</testcase>"


def test_attempts_that_failed_stand_in_the_cases_that_they_concern(report, tested, tmp_path):
    def attempt(number, status, *cases):
        path = tmp_path / f"{number}.xml"
        path.write_text(f"<testsuite>{''.join(cases)}</testsuite>")
        return tested(status=status, attempt=number, attempts=3, xml=str(path) if cases else "", message="crashed")

    bad = "<failure message='no' type='T'>line 3</failure>"
    first = attempt(1, "failed", case_of("late", bad), case_of("never", bad), case_of("good"))
    crashed = attempt(2, "failed")
    root = report(first, crashed, attempt(3, "passed", case_of("late"), case_of("never"), case_of("good")))
    tags = {case.get("name"): [child.tag for child in case] for case in root[0].iter("testcase")}
    assert tags == {"late": ["flakyFailure"], "never": ["flakyFailure"], "good": [], "unit": ["flakyFailure"]}
    assert root[0].find("testcase/flakyFailure").get("message") == "no"
    assert root[0].findtext("testcase/flakyFailure/stackTrace") == "line 3"
    assert root[0].get("failures") == "0"
    root = report(first, crashed, attempt(3, "failed", case_of("late"), case_of("never", bad), case_of("good")))
    tags = {case.get("name"): [child.tag for child in case] for case in root[0].iter("testcase")}
    assert tags == {"late": ["flakyFailure"], "never": ["failure", "rerunFailure"], "good": [], "unit": ["failure"]}
    assert root[0].get("failures") == "2"


def test_shards_that_say_nothing_are_cases_of_their_own(report, tested):
    root = report(*(tested(shard=shard, shards=2, run=run, runs=2) for run in (1, 2) for shard in (1, 2)))
    assert len(root) == 1
    assert sorted(outcomes(root[0])) == [
        f"unit (shard {shard} of 2) (run {run} of 2)" for shard in (1, 2) for run in (1, 2)
    ]
