"""What CI systems get: annotations at the right places, folded logs that cannot command, summaries, reports."""

import io
import json

import pytest

from bldr.api.events import BuildFinished, BuildStarted, Error
from bldr.api.events import Warning as WarningEvent
from bldr.report.annotations import (
    GITLAB_REPORT,
    GitHubListener,
    GitLabListener,
    Note,
    github_command,
    github_frame,
    gitlab_frame,
    gitlab_issue,
    notes_of,
)

LOG = """\
In file included from /build/app/main.c:1:
/build/lib/greet.h:2:10: fatal error: missing.h: No such file or directory
app/main.c:7:3: warning: unused variable 'x' [-Wunused-variable]
./app/main.c:9: error: expected ';'
${BLDR_ROOT}/app/main.c:11:1: error: and one more
note: this is no diagnostic
"""


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log"
    path.write_text(LOG)
    return str(path)


def begin(root):
    return BuildStarted(
        command="test", workspace="w", patterns=("//...",), isolation="best", sandbox="linux", jobs=1, root=str(root)
    )


def end(**fields):
    return BuildFinished(success=False, exit_code=1, ran=2, cached=3, failed=1, duration_s=4.0, **fields)


def test_the_compiler_s_own_diagnostics_become_notes(finished, log):
    event = finished(1, status="failed", exit_code=1, log=log)
    assert notes_of(event, "title") == [
        Note("error", "title", "missing.h: No such file or directory", "lib/greet.h", 2, 10),
        Note("warning", "title", "unused variable 'x' [-Wunused-variable]", "app/main.c", 7, 3),
        Note("error", "title", "expected ';'", "app/main.c", 9, 0),
        Note("error", "title", "and one more", "app/main.c", 11, 1),
    ]


def test_a_failure_without_diagnostics_is_one_note(finished):
    event = finished(1, status="violated", message="undeclared output", hint="declare it")
    assert notes_of(event, "Making x") == [
        Note(
            "error",
            "Making x",
            "FAILED Making x: broke its declaration (after 0.5s)\nundeclared output\nhint: declare it",
        )
    ]


def test_what_went_well_was_interrupted_or_is_told_by_its_test_makes_no_notes(finished, summed):
    assert notes_of(finished(1)) == []
    assert notes_of(finished(1, status="interrupted")) == []
    assert notes_of(finished(1, mnemonic="Test", status="failed")) == []
    assert notes_of(summed()) == []
    assert notes_of(summed(status="not_built")) == []
    assert notes_of(summed(status="timeout")) == [Note("error", "//app:unit", "//app:unit TIMEOUT in 1.2s")]
    flaky = summed(status="flaky", total=2, failed=1, message="exit code 1\nand more")
    line = "//app:unit FLAKY, failed in 1 out of 2 attempts in 1.2s"
    assert notes_of(flaky) == [Note("warning", "//app:unit", f"{line}\nexit code 1")]


@pytest.mark.parametrize(
    ("note", "command"),
    [
        (
            Note("error", "a: b, c", "100% of\nlines\r", "src/a,b.c", 3, 7),
            "::error col=7,file=src/a%2Cb.c,line=3,title=a%3A b%2C c::100%25 of%0Alines%0D\n",
        ),
        (Note("warning", "cache", "slow"), "::warning title=cache::slow\n"),
        (Note("error", "t", "outside", "/usr/include/x.h", 1, 1), "::error title=t::outside\n"),
        (Note("error", "t", "m", "a.c", 0, 0), "::error file=a.c,title=t::m\n"),
    ],
)
def test_workflow_commands_are_escaped(note, command):
    assert github_command(note) == command


def test_files_are_named_from_the_repository_s_root(tmp_path, finished, log):
    out = io.StringIO()
    workspace = tmp_path / "sub" / "ws"
    workspace.mkdir(parents=True)
    listener = GitHubListener(out, {"GITHUB_WORKSPACE": str(tmp_path)}, str(workspace))
    for event in (Error(message="bad", file="Builderfile", line=1), finished(1, status="failed", exit_code=1, log=log)):
        listener.on_event(event)
    listener.close()
    assert "file=sub/ws/lib/greet.h,line=2" in out.getvalue()
    assert "file=sub/ws/Builderfile,line=1" in out.getvalue()


def test_a_flood_of_notes_is_cut(finished, tmp_path):
    log = tmp_path / "flood"
    log.write_text("".join(f"a.c:{line}:1: error: bad\n" for line in range(1, 300)))
    out = io.StringIO()
    listener = GitHubListener(out, {})
    listener.on_event(finished(1, status="failed", log=str(log)))
    listener.on_event(finished(2, status="failed", log=str(log)))
    assert len(out.getvalue().splitlines()) == 50


def test_a_log_cannot_command_the_runner():
    before, after = github_frame(lambda: "secret")("//a:b", "::error::forged\n")
    assert before.endswith("::stop-commands::secret\n")
    assert after.startswith("::secret::\n")
    assert github_frame()("t", "") != github_frame()("t", "")


def test_the_job_summary_is_appended_and_markdown_in_names_and_logs_means_nothing(tmp_path, finished, summed):
    path = tmp_path / "summary.md"
    path.write_text("earlier\n")
    log = tmp_path / "log"
    log.write_text("```\n<script>\n````\n")
    listener = GitHubListener(io.StringIO(), {"GITHUB_STEP_SUMMARY": str(path)})
    for event in (
        begin(tmp_path),
        finished(1, "//a:<b>|`*", status="failed", exit_code=1, log=str(log)),
        summed("//a|b:unit", "failed"),
        Error(message="no *such* file", hint="<look>"),
        end(tests_failed=1, runs_failed=1),
    ):
        listener.on_event(event)
    listener.close()
    assert path.read_text() == (
        "earlier\n"
        "### `bldr test //...`\n"
        "\n"
        "failed: 1 test failed, 2 ran, 3 cached in 4.0s\n"
        "\n"
        "| test | result | time |\n"
        "| --- | --- | --- |\n"
        "| `//a\\|b:unit` | failed | 1.2s |\n"
        "\n"
        "FAILED //a:\\<b\\>\\|\\`\\*: CcCompile: exit code 1 \\(after 0.5s\\)\n"
        "\n"
        "`````text\n```\n<script>\n````\n`````\n"
        "\n"
        "error: no \\*such\\* file  \nhint: \\<look\\>\n"
        "\n"
    )


def test_no_summary_file_is_no_summary(finished):
    listener = GitHubListener(io.StringIO(), {})
    listener.on_event(end())
    listener.close()


def test_the_report_for_gitlab(tmp_path, finished, log):
    workspace = tmp_path / "ws"
    listener = GitLabListener({"CI_PROJECT_DIR": str(tmp_path)}, str(workspace))
    for event in (
        begin(workspace),
        finished(1, status="failed", exit_code=1, log=log),
        finished(2, status="failed", exit_code=1, log=log),
        Error(message="no source", file="Builderfile", line=3, column=1),
        WarningEvent(kind="cache", message="no place, so not in the report"),
        end(),
    ):
        listener.on_event(event)
    listener.close()
    issues = json.loads((workspace / GITLAB_REPORT).read_bytes())
    assert [(issue["location"]["path"], issue["location"]["lines"]["begin"]) for issue in issues] == [
        ("ws/lib/greet.h", 2),
        ("ws/app/main.c", 7),
        ("ws/app/main.c", 9),
        ("ws/app/main.c", 11),
        ("ws/Builderfile", 3),
    ]
    assert {issue["severity"] for issue in issues} == {"major", "minor"}
    assert len({issue["fingerprint"] for issue in issues}) == len(issues)
    assert all(issue["description"] and issue["check_name"] for issue in issues)


def test_a_fingerprint_outlives_edits_above_the_line():
    note = Note("error", "t", "expected ';'", "a.c", 9)
    assert gitlab_issue(note)["fingerprint"] == gitlab_issue(note._replace(line=12))["fingerprint"]
    assert gitlab_issue(note)["fingerprint"] != gitlab_issue(note._replace(file="b.c"))["fingerprint"]


def test_a_build_without_remarks_writes_an_empty_report(tmp_path):
    listener = GitLabListener({}, str(tmp_path))
    listener.on_event(end())
    listener.close()
    assert json.loads((tmp_path / GITLAB_REPORT).read_bytes()) == []


def test_a_command_that_builds_nothing_leaves_the_report_alone(tmp_path):
    GitLabListener({"CI_PROJECT_DIR": str(tmp_path)}, str(tmp_path)).close()
    assert list(tmp_path.iterdir()) == []


def test_gitlab_folds_each_log_in_a_section_of_its_own():
    frame = gitlab_frame(lambda: 1700000000.9)
    before, after = frame("//a:b", "")
    assert before == "\x1b[0Ksection_start:1700000000:bldr_log_1\r\x1b[0Klog of //a:b\n"
    assert after == "\x1b[0Ksection_end:1700000000:bldr_log_1\r\x1b[0K\n"
    assert "bldr_log_2" in frame("//a:c", "")[0]
