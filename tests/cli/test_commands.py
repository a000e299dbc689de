"""What build, test and run make of a session's outcome, and what is shown of errors."""

import json
import stat
import subprocess
import sys

import pytest

from bldr.api.errors import BldrError, Problem, WorkspaceError
from bldr.api.events import BuildFinished, Error, TestFinished, TestSummary
from bldr.execute.building import BuildOutcome


def outcome(**fields):
    return BuildOutcome(**{"exit_code": 0, "ran": 0, "cached": 0, "failed": 0, "outputs": {}, **fields})


def result_of(label, status="passed", **fields):
    return TestFinished(
        label=label, **{"status": status, "cached": False, "duration_s": 1.0, "run": 1, "runs": 1, **fields}
    )


def summary_of(label, status="passed", **fields):
    return TestSummary(label=label, **{"status": status, "cached": False, "duration_s": 1.0, **fields})


def test_build_prints_nothing_but_with_v_where_the_outputs_are(bldr, fake):
    assert bldr("build") == (0, "", "")
    assert bldr("build", "-v") == (0, "//a:a:\n  bldr-out/a/x\n  bldr-out/a/y\n//b:b:\n  bldr-out/b/b\n", "")


def test_build_as_json_is_one_object_on_standard_output(bldr, fake):
    done = bldr("build", "--format=json", "-v")
    assert json.loads(done.out) == {
        "success": True,
        "exit_code": 0,
        "ran": 2,
        "cached": 1,
        "failed": 0,
        "outputs": {"//a:a": ["bldr-out/a/x", "bldr-out/a/y"], "//b:b": ["bldr-out/b/b"]},
    }
    assert done.out.count("\n") == 1


@pytest.mark.parametrize("command", ["build", "test"])
def test_the_outcome_s_exit_code_is_the_process_s(bldr, fake, command):
    fake.prepare(outcome=outcome(exit_code=5))
    assert bldr(command).code == 5


def test_progress_goes_to_standard_error_and_results_to_standard_output(bldr, fake):
    counts = {"failed": 1, "tests_passed": 1, "tests_failed": 1, "runs_failed": 1}
    end = BuildFinished(success=False, exit_code=3, ran=2, cached=0, **counts)
    events = [summary_of("//b:t"), summary_of("//a:t", "failed", logs=("/w/bldr-out/a/t.test/test.log",)), end]
    fake.prepare(events=events, outcome=outcome(exit_code=3))
    done = bldr("test")
    assert done == (
        3,
        "//a:t FAILED in 1.0s\n  /w/bldr-out/a/t.test/test.log\n//b:t PASSED in 1.0s\n",
        "failed: 1 test failed, 1 test passed, 2 ran, 0 cached in 0.0s\n",
    )
    assert bldr("test", "-q")[1:] == ("", "")


def test_test_as_json_lists_the_tests(bldr, fake):
    fake.prepare(events=[result_of("//a:t", cached=True), summary_of("//a:t", cached=True)])
    assert json.loads(bldr("test", "--format=json").out)["tests"] == [
        {
            "label": "//a:t",
            "status": "passed",
            "cached": True,
            "duration_s": 1.0,
            "runs": 1,
            "shards": 0,
            "total": 1,
            "failed": 0,
            "message": "",
            "attempts": [
                {
                    "status": "passed",
                    "cached": True,
                    "duration_s": 1.0,
                    "run": 1,
                    "shard": 0,
                    "attempt": 1,
                    "log": "",
                    "xml": "",
                    "outputs": "",
                    "message": "",
                }
            ],
        }
    ]


def test_the_report_options_make_listeners(bldr, fake, tmp_path):
    fake.prepare(events=[result_of("//a:t")])
    files = {name: tmp_path / name for name in ("events", "profile", "junit")}
    assert bldr("test", *(f"--{name}={path}" for name, path in files.items())).code == 0
    assert json.loads(files["events"].read_text())["event"] == "test_finished"
    assert json.loads(files["profile"].read_text())
    assert "<testsuites>" in files["junit"].read_text()


@pytest.mark.parametrize("option", ["--events", "--profile", "--junit"])
def test_a_report_that_cannot_be_written_stops_the_build_before_it_begins(bldr, fake, tmp_path, option):
    done = bldr("test", f"{option}={tmp_path}/no/file")
    assert done.code == 2
    assert "cannot write" in done.err and "hint: name a file in a directory that exists" in done.err
    assert fake.made == []


def test_an_error_that_came_as_an_event_is_shown_once(bldr, fake):
    problems = [Problem("Builderfile", 3, 1, "no language", "add one"), Problem("Builderfile", 9, 1, "no type")]
    events = [Error(message=p.message, hint=p.hint, file=p.file, line=p.line, column=p.column) for p in problems]
    fake.prepare(events=events, error=WorkspaceError(problems))
    assert bldr("build") == (
        2,
        "",
        "Builderfile:3:1: no language\nhint: add one\nBuilderfile:9:1: no type\n",
    )


def test_an_error_without_an_event_is_shown_too(bldr, fake):
    fake.prepare(error=BldrError("no such thing", "make one"))
    assert bldr("build") == (2, "", "error: no such thing\nhint: make one\n")


def test_the_session_is_closed_also_when_the_build_raises(bldr, fake):
    fake.prepare(error=RuntimeError("a bug"))
    assert bldr("build").code == 70
    assert fake.made[0].closed


def test_annotations_appear_where_github_runs_us(bldr, fake, monkeypatch, tmp_path):
    summary = tmp_path / "summary"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    fake.prepare(events=[Error(message="no language", file="Builderfile", line=3, column=1)])
    assert "::error col=1,file=Builderfile,line=3,title=bldr::no language\n" in bldr("build").err
    assert "Builderfile:3:1" in summary.read_text()


@pytest.fixture
def program(tmp_path):
    """An executable that prints its arguments and returns 7."""
    path = tmp_path / "program"
    path.write_text('#!/bin/sh\necho "$#:$*"\nexit 7\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_run_becomes_the_program(cache, program):
    code = f"""
import sys
import bldr.cli.opening
from bldr.cli.main import main
from bldr.execute.building import BuildOutcome
class Session:
    def __init__(self, request, listeners): assert request.run_args == ("a b", "-v", "--", "x"), request
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def build(self): return BuildOutcome(exit_code=0, ran=0, cached=0, failed=0, outputs={{}}, executable={program!r})
bldr.cli.opening.Session = Session
sys.exit(main(["run", "-q", "//p", "a b", "--", "-v", "--", "x"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "4:a b -v -- x\n", "")


def test_run_of_what_was_not_built_runs_nothing(bldr, fake, program):
    fake.prepare(outcome=outcome(exit_code=1, executable=program))
    assert bldr("run", "//p") == (1, "", "")


def test_run_of_what_is_no_program_says_so(bldr, fake):
    done = bldr("run", "//p")
    assert done.code == 2
    assert done.err.startswith('error: the target "//p" has no program to run\nhint: ')


def test_run_of_a_program_that_cannot_be_run_says_so(bldr, fake, tmp_path):
    fake.prepare(outcome=outcome(executable=str(tmp_path / "gone")))
    done = bldr("run", "//p")
    assert done.code == 2
    assert "No such file or directory" in done.err
