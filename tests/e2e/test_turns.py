"""Builds of many short actions, whose next ones are handed over before there is a slot for them."""

import json
import os
import signal
import subprocess

import pytest

QUICK = 40
"""So many that it is known by then that actions are short."""


def target(name, text, *, deps="", more=""):
    return (
        f'[target.{name}]\ntype = "command"\noutputs = ["{name}.out"]\ncommand = "{text}"\n'
        + (f'deps = [":{deps}"]\n' if deps else "")
        + f"{more}\n"
    )


def quick(numbers, letter="a"):
    return "".join(target(f"{letter}{number:02}", "echo > $OUT") for number in numbers)


def started(ran):
    return [event["label"] for event in ran.of("action_started")]


def finished(ran):
    return [event["label"] for event in ran.of("action_finished")]


@pytest.mark.parametrize("jobs", ["-j1", "-j2"])
def test_after_a_failure_nothing_else_starts(project, jobs):
    """Not even what was handed over already; with more than one slot, the other one may be at work."""
    it = project({"Builderfile": quick(range(QUICK)) + target("b", "sleep 0.3; exit 3") + quick(range(20), "c")})
    ran = it.build(jobs, "//...")
    assert ran.exit_code == 1, ran
    assert set(started(ran)) == set(finished(ran))
    if jobs == "-j1":
        # Of two that wait the later one may be the faster.
        assert set(finished(ran)) - {f"//:a{number:02}" for number in range(QUICK)} <= {"//:b", "//:c00"}
        assert QUICK <= len(finished(ran)) <= QUICK + 2
        end = next(at for at, event in enumerate(ran.events)
                   if event["event"] == "action_finished" and event["status"] == "failed")  # fmt: skip
        assert not [event for event in ran.events[end:] if event["event"] == "action_started"]
    again = it.build(jobs, "//...")
    assert again.exit_code == 1, again
    assert "//:b" in finished(again)


def test_other_actions_go_on_where_that_is_wanted(project):
    fails = "".join(target(f"b{number}", f"exit {number}") for number in range(1, 6))
    it = project({"Builderfile": quick(range(QUICK)) + fails + quick(range(20), "c")})
    ran = it.build("-j2", "--keep-going", "//...")
    assert ran.exit_code == 1, ran
    assert sorted(finished(ran)) == sorted(started(ran))
    assert len(finished(ran)) == QUICK + 25
    assert sum(event["status"] == "ok" for event in ran.of("action_finished")) == QUICK + 20


def test_actions_that_break_their_promises_stop_nothing_else_where_that_is_wanted(project):
    fails = "".join(target(f"b{number}", "true") for number in range(6))  # it ends well, without its output
    it = project({"Builderfile": quick(range(QUICK)) + fails + quick(range(20), "c")})
    ran = it.build("-j2", "--keep-going", "//...")
    assert ran.exit_code == 1, ran
    assert sum(event["status"] == "violated" for event in ran.of("action_finished")) == 6
    assert len(finished(ran)) == QUICK + 26


def test_exclusive_and_limited_actions_come_through_between_many_short_ones(project):
    odd = "".join(
        target(f"b{number}", "sleep 0.2; echo > $OUT", more='tags = ["exclusive"]' if number % 2 else "")
        for number in range(6)
    ) + target("late", "sleep 1000", more="hermetic = { timeout = '0.3s' }")
    it = project({"Builderfile": quick(range(QUICK)) + odd + quick(range(20), "c")})
    ran = it.build("-j2", "--keep-going", "//...")
    assert ran.exit_code == 1, ran
    assert {event["label"] for event in ran.of("action_finished") if event["status"] != "ok"} == {"//:late"}
    assert len(finished(ran)) == QUICK + 27


def test_a_test_that_fails_is_tried_again_between_many_short_actions(project):
    flaky = '[target.t]\ntype = "test"\nlanguage = "c"\nsources = ["t.c"]\nflaky = true\n'
    it = project(
        {
            "Builderfile": flaky + quick(range(QUICK)) + quick(range(20), "c"),
            "t.c": "int main(void) { return 1; }\n",
        }
    )
    ran = it.bldr("test", "--hermetic", "-j2", "//...")
    assert ran.exit_code != 0, ran
    attempts = [
        event for event in ran.of("action_finished") if event["label"] == "//:t" and event["status"] == "failed"
    ]
    assert len(attempts) > 1, ran


def test_an_interrupt_ends_what_runs_and_what_waits(project, until, tmp_path):
    sleepers = "".join(target(f"b{number}", "sleep 98764; echo > $OUT") for number in range(6))
    it = project({"Builderfile": quick(range(QUICK)) + sleepers})
    told = tmp_path / "told.jsonl"
    words = it.command("build", "--hermetic", "-j2", "//...", events=told)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(words, cwd=it.root, env=it.env(), **streams)
    try:
        until(lambda: len(sleeping()) >= 2 or process.poll() is not None)
        assert process.poll() is None, process.stdout.read()
        assert len(sleeping()) == 2
        process.send_signal(signal.SIGINT)
        text, _ = process.communicate(timeout=60)
        assert process.returncode == 8, text
        until(lambda: not sleeping())
        events = [json.loads(line) for line in told.read_text().splitlines()]
        began = [event["label"] for event in events if event["event"] == "action_started"]
        ended = [event["label"] for event in events if event["event"] == "action_finished"]
        assert sorted(began) == sorted(ended)
        # Two of six, or the last quick one and two, or a third that was told of when another passed it; never all.
        assert QUICK + 1 <= len(began) <= QUICK + 3
    finally:
        process.kill()
        process.wait()


def sleeping():
    found = subprocess.run(["pgrep", "-xf", "sleep 98764"], capture_output=True, text=True).stdout.split()
    return [pid for pid in found if pid != str(os.getpid())]


def test_the_head_of_a_long_chain_is_not_left_for_the_end(project):
    chain = "".join(target(f"z{number:02}", "echo > $OUT", deps=f"z{number - 1:02}" if number else "")
                    for number in range(30))  # fmt: skip
    it = project({"Builderfile": "".join(quick(range(90), letter) for letter in "abc") + chain})
    ran = it.build("-j2", "//...")
    assert ran.exit_code == 0, ran
    assert started(ran).index("//:z00") < 5


def test_a_closed_standard_error_takes_no_descriptor_away(project):
    it = project({"Builderfile": quick(range(3))})
    words = ["sh", "-c", 'exec "$@" 2>&-', "sh", *it.command("build", "--hermetic", "//...")]
    assert subprocess.run(words, cwd=it.root, env=it.env(), stdin=subprocess.DEVNULL).returncode == 0


def test_a_caller_who_ignores_the_end_of_children_is_no_hindrance(project):
    it = project({"Builderfile": quick(range(3))})
    words = ["sh", "-c", "trap '' CHLD; exec \"$@\"", "sh", *it.command("build", "--hermetic", "//:none")]
    ran = subprocess.run(words, cwd=it.root, env=it.env(), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert ran.returncode == 2, ran
    assert "bug" not in ran.stderr


def test_a_file_in_the_directory_of_a_test_stays(project):
    it = project(
        {
            "Builderfile": '[target.x]\ntype = "test"\nlanguage = "c"\nsources = ["t.c"]\n'
            + '[target.foo]\ntype = "command"\noutputs = ["x.test/foo"]\ncommand = "echo kept > $OUT"\n'
            + quick(range(QUICK)),
            "t.c": "int main(void) { return 0; }\n",
        }
    )
    ran = it.bldr("test", "--hermetic", "-j2", "//...")
    assert ran.exit_code == 0, ran


def test_nobody_is_blamed_for_what_was_called_back(project):
    """Of launches that wait any may be the faster one, so that one that was told of can be among those called back."""
    for turn in range(6):
        first = "".join(target(f"a{number:02}", f"echo {turn} > $OUT") for number in range(24))
        slow = "".join(
            target(f"b{number:02}", f"sleep 0.0{10 + number % 10}; {'exit 1' if number % 3 == 2 else 'echo > $OUT'}")
            for number in range(24)
        )
        it = project({"Builderfile": first + slow}, f"turn-{turn}")
        ran = it.build("-j4", "//...")
        assert ran.exit_code == 1, ran
        assert set(started(ran)) <= set(finished(ran))  # what is in the cache has no beginning
        failed = [event for event in ran.of("action_finished") if event["status"] == "failed"]
        assert {event["exit_code"] for event in failed} == {1}, ran
