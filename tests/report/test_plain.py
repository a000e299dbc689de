"""The plain listener: quiet about what went well, complete about what did not."""

import io

import pytest

from bldr.api.events import BuildFinished, Error, TestOutput
from bldr.api.events import Warning as WarningEvent
from bldr.api.sandbox import Usage, Verdict
from bldr.report.plain import PlainListener


@pytest.fixture
def shown(started, finished):
    """Feed events to a listener made with `options` and return what it wrote."""

    def show(*events, **options):
        out = io.StringIO()
        listener = PlainListener(out, **options)
        for event in events:
            listener.on_event(event)
        listener.close()
        return out.getvalue()

    return show


def done(**fields):
    return BuildFinished(**{"success": True, "exit_code": 0, "ran": 2, "cached": 5, "failed": 0, **fields})


def test_a_good_build_is_one_line(shown, started, finished):
    events = [started(1), finished(1), finished(2, cached=True), done(duration_s=3.21)]
    assert shown(*events) == "done: 2 ran, 5 cached in 3.2s\n"


def test_verbose_names_what_ran_and_twice_also_why_and_what_was_cached(shown, started, finished):
    events = [started(1), finished(1), finished(2, "//lib:lib", "CcArchive", cached=True)]
    assert shown(*events, verbosity=1) == "//app:app: Compiling app/main.c (0.5s)\n"
    assert shown(*events, verbosity=2) == (
        "//app:app: Compiling app/main.c: new\n//app:app: Compiling app/main.c (0.5s)\n//lib:lib: CcArchive (cached)\n"
    )


def test_verbose_ends_with_what_was_used_most(shown, started, finished):
    usage = Usage(cpu_s=1.5, memory_peak_bytes=3 << 20)
    events = [started(1), finished(1, usage=usage, time_s=1), finished(2, cached=True, usage=usage), done(duration_s=2)]
    assert shown(*events, verbosity=1) == (
        "//app:app: Compiling app/main.c (0.5s)\n"
        "most memory:\n"
        "     3.0 MiB  //app:app: Compiling app/main.c\n"
        "most CPU time:\n"
        "        1.5s  //app:app: Compiling app/main.c\n"
        "memory of actions at one time: 3.0 MiB at most\n"
        "done: 2 ran, 5 cached in 2.0s\n"
    )


def test_a_failure_is_shown_with_reason_hint_and_log(shown, started, finished, tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"app/main.c:3:1: \x1b[31merror:\x1b[0m expected ';'\n")
    failed = finished(
        1, status="failed", exit_code=1, message="the compiler said no", hint="mend it", log=str(log), duration_s=0.25
    )
    end = done(success=False, exit_code=1, failed=1, ran=1, cached=0, duration_s=1)
    assert shown(started(1), failed, end) == (
        "FAILED //app:app: Compiling app/main.c: exit code 1 (after 0.2s)\n"
        "the compiler said no\n"
        "hint: mend it\n"
        "app/main.c:3:1: error: expected ';'\n"
        "failed: 1 failed, 1 ran, 0 cached in 1.0s\n"
    )
    assert log.read_bytes() == b"app/main.c:3:1: \x1b[31merror:\x1b[0m expected ';'\n"


@pytest.mark.parametrize(
    ("fields", "how"),
    [
        ({"status": "violated"}, "broke its declaration"),
        ({"status": "setup"}, "its sandbox could not be made"),
        ({"status": "killed", "exit_code": 137}, "killed, exit code 137"),
        (
            {"status": "killed", "verdict": Verdict("memory", 512, 513, "MiB")},
            "memory limit of 512 MiB reached (used 513 MiB)",
        ),
        (
            {"status": "killed", "verdict": Verdict("syscall", 0, 0, "keyctl")},
            "the system call keyctl is forbidden",
        ),
        ({"status": "killed", "verdict": Verdict("log", 1 << 28, 1 << 28, "bytes")}, "log limit of 256 MiB reached"),
    ],
)
def test_every_kind_of_failure_says_how(shown, finished, fields, how):
    assert shown(finished(1, **fields)) == f"FAILED //app:app: CcCompile: {how} (after 0.5s)\n"


def test_an_interrupted_action_is_no_failure(shown, finished):
    end = done(success=False, exit_code=8)
    assert shown(finished(1, status="interrupted"), end) == "interrupted: 2 ran, 5 cached in 0.0s\n"


def test_what_an_action_could_have_written_into_a_message_is_stripped(shown, finished):
    failed = finished(
        1, status="violated", message="undeclared output \x1b]0;owned\x07a.txt", hint="declare \x1b[2J it"
    )
    assert "\x1b" not in shown(failed)


def test_warnings_and_errors_have_place_and_hint(shown):
    warning = WarningEvent(kind="isolation", message="no network namespace", hint="run as root")
    error = Error(message='no source "mian.c"', hint='did you mean "main.c"?', file="Builderfile", line=12, column=1)
    assert shown(warning, error) == (
        "warning: no network namespace\nhint: run as root\n"
        'Builderfile:12:1: no source "mian.c"\nhint: did you mean "main.c"?\n'
    )


def test_quiet_leaves_failures_and_errors_only(shown, finished, started):
    events = [WarningEvent(kind="cache", message="slow"), started(1), finished(1), done()]
    assert shown(*events, verbosity=-1) == ""
    assert shown(finished(1, status="failed", exit_code=1), Error(message="broken"), verbosity=-1) == (
        "FAILED //app:app: CcCompile: exit code 1 (after 0.5s)\nerror: broken\n"
    )


def test_errors_before_anything_ran_need_no_summary(shown):
    end = done(success=False, exit_code=2, ran=0, cached=0)
    assert shown(Error(message="a cycle"), end) == "error: a cycle\n"


def test_the_log_of_a_failed_test_is_shown_once_and_of_a_passed_one_when_asked_for(shown, finished, tested, tmp_path):
    log = tmp_path / "log"
    log.write_text("expected 4, got 5\n")
    failed = finished(1, "//app:unit", "Test", status="failed", exit_code=1, log=str(log))
    events = [failed, tested(status="failed", log=str(log))]
    assert shown(*events).count("expected 4, got 5") == 1
    assert "expected" not in shown(*events, test_output="summary")
    passed = [finished(1, "//app:unit", "Test", log=str(log)), tested(log=str(log))]
    assert shown(*passed) == ""
    assert shown(*passed, test_output="all") == "PASSED testing //app:unit\nexpected 4, got 5\n"


def test_the_summary_counts_tests(shown):
    end = done(success=False, exit_code=3, failed=3, tests_failed=1, runs_failed=3, tests_passed=4, tests_flaky=2)
    assert shown(end) == "failed: 1 test failed, 4 tests passed (2 flaky), 2 ran, 5 cached in 0.0s\n"
    end = done(success=False, exit_code=1, failed=3, tests_failed=1, runs_failed=1)
    assert shown(end) == "failed: 1 test failed, 2 failed, 2 ran, 5 cached in 0.0s\n"


def test_a_frame_stands_around_logs_only(shown, finished, tmp_path):
    log = tmp_path / "log"
    log.write_text("text")
    failed = finished(1, status="failed", exit_code=1, log=str(log))
    framed = shown(failed, finished(2, status="failed", exit_code=1), frame=lambda title, text: ("<\n", ">\n"))
    assert framed == (
        "FAILED //app:app: CcCompile: exit code 1 (after 0.5s)\n<\ntext\n>\n"
        "FAILED //app:app: CcCompile: exit code 1 (after 0.5s)\n"
    )


def test_what_tests_print_while_they_run_is_told_apart_from_what_is_said_of_them(shown, started, finished):
    events = [
        started(1, "//app:unit", "Test", "testing //app:unit"),
        TestOutput(label="//app:unit", text="one\ntwo"),
        finished(1, "//app:unit", "Test", status="failed", exit_code=1, message="no", log="/nowhere"),
    ]
    assert shown(*events, test_output="streamed") == (
        "testing //app:unit\none\ntwo\nFAILED testing //app:unit: exit code 1 (after 0.5s)\nno\n"
    )
