"""Tests as many processes: shards, runs, attempts, and what is kept of each."""

import os
import shutil
import signal
import xml.etree.ElementTree as ElementTree

import pytest

SHARE = 'touch "$TEST_SHARD_STATUS_FILE"; echo "share $TEST_SHARD_INDEX of $TEST_TOTAL_SHARDS"; '


def target(name, command, **attributes):
    lines = "".join(f"{key} = {value}\n" for key, value in attributes.items())
    return f"[target.{name}]\ntype = \"test\"\n{lines}command = '''{command}'''\n"


@pytest.fixture
def luck(tmp_path):
    """The command of a test that fails until it has been tried `often`, which no sandbox would let it know."""
    counter = tmp_path / "tried"
    counter.write_text("0")

    def make(often):
        return f'n=$(($(cat {counter}) + 1)); echo $n > {counter}; echo "try $n"; test $n -ge {often}'

    return make


def flaky(name, command, **attributes):
    return target(name, command, **attributes) + f"[target.{name}.hermetic]\nenabled = false\n"


def summary(ran):
    (event,) = ran.of("test_summary")
    return event["status"], event["failed"], event["total"]


def cases(path):
    return {
        case.get("name"): [child.tag for child in case] for case in ElementTree.parse(path).getroot().iter("testcase")
    }


def test_a_test_that_passes_late_is_flaky_and_not_remembered(project, luck, tmp_path):
    it = project({"Builderfile": flaky("t", luck(3), flaky="true")})
    junit = tmp_path / "junit.xml"
    late = it.bldr("test", "--junit", str(junit))
    assert late.exit_code == 0, late
    assert summary(late) == ("flaky", 2, 3)
    finished = late.of("test_finished")
    assert [(event["status"], event["attempt"], event["attempts"]) for event in finished] == [
        ("failed", 1, 3), ("failed", 2, 3), ("passed", 3, 3),
    ]  # fmt: skip
    assert [event["again"] for event in late.of("action_finished")] == [True, True, False]
    assert late.stdout.startswith("//:t FLAKY, failed in 2 out of 3 attempts in ")
    assert "1 test passed (1 flaky), 3 ran" in late.stderr and "try 1\n" in late.stderr and "try 3" not in late.stderr
    logs = [it.read(f"bldr-out/t.test/{place}test.log") for place in ("attempt_1/", "attempt_2/", "")]
    assert logs == ["try 1\n", "try 2\n", "try 3\n"]
    assert cases(junit) == {"t": ["flakyFailure", "flakyFailure"]}
    logged = it.bldr("log", "//:t").stdout
    assert logged.index("try 1") < logged.index("try 2") < logged.index("try 3")
    again = it.bldr("test", "-vv")
    assert summary(again) == ("passed", 0, 1)
    assert "it passed only at attempt 3" in again.stderr
    assert not it.out("t.test/attempt_1").exists()
    assert it.bldr("test").stdout.startswith("//:t (cached) PASSED in ")


def test_a_test_that_fails_at_every_attempt_failed(project, luck, tmp_path):
    it = project({"Builderfile": flaky("t", luck(9))})
    junit = tmp_path / "junit.xml"
    failed = it.bldr("test", "--flaky-attempts=2", "--junit", str(junit))
    assert failed.exit_code == 3, failed
    assert summary(failed) == ("failed", 2, 2)
    assert "1 test failed, 2 ran" in failed.stderr
    assert cases(junit) == {"t": ["failure", "rerunFailure"]}
    assert summary(it.bldr("test")) == ("failed", 1, 1)  # who is not flaky is not tried again


def test_shards_share_a_test_and_are_one_in_the_end(project, tmp_path):
    report = 'echo "<testsuite><testcase name=\'case $TEST_SHARD_INDEX\'/></testsuite>" > "$XML_OUTPUT_FILE"; '
    command = SHARE + report + 'test $TEST_SHARD_INDEX != 1 || test "$(cat state)" = mended'
    it = project({"Builderfile": target("t", command, shard_count=3, sources='["state"]'), "state": "broken\n"})
    junit = tmp_path / "junit.xml"
    failed = it.bldr("test", "--hermetic", "--junit", str(junit))
    assert failed.exit_code == 3, failed
    assert summary(failed) == ("failed", 1, 3)
    assert "//:t FAILED in 1 out of 3 shards" in failed.stdout
    assert f"  {it.out('t.test/shard_2_of_3/test.log')}\n" in failed.stdout
    found = cases(junit)
    assert found.pop("t (shard 2 of 3)") == ["failure"] and sorted(found) == ["case 0", "case 1", "case 2"]
    assert [it.read(f"bldr-out/t.test/shard_{n}_of_3/test.log") for n in (1, 2, 3)] == [
        f"share {n} of 3\n" for n in range(3)
    ]
    it.write({"state": "mended\n"})
    assert summary(it.bldr("test", "--hermetic")) == ("passed", 0, 3)
    shutil.rmtree(it.out("t.test"))
    cached = it.bldr("test", "--hermetic")
    assert cached.ran == [] and "(cached) PASSED" in cached.stdout
    assert it.read("bldr-out/t.test/shard_3_of_3/test.log") == "share 2 of 3\n"


def test_a_test_that_knows_of_no_shards_or_leaves_early_fails(project):
    early = 'touch "$TEST_PREMATURE_EXIT_FILE"; exit 0'
    it = project({"Builderfile": target("whole", "echo all", shard_count=2) + target("early", early)})
    failed = it.bldr("test", "--hermetic")
    assert failed.exit_code == 3, failed
    assert [event["status"] for event in failed.of("test_summary")] == ["failed", "failed"]
    assert "did not touch the file that TEST_SHARD_STATUS_FILE names" in failed.stderr
    assert 'take shard_count out of "//:whole"' in failed.stderr
    assert "the test exited before its end" in failed.stderr


def test_shards_of_runs_with_attempts(project, luck):
    it = project({"Builderfile": flaky("t", SHARE + luck(2), shard_count=2)})
    ran = it.bldr("test", "-j1", "--runs-per-test=2", "--flaky-attempts=3")
    assert ran.exit_code == 0, ran
    assert summary(ran) == ("flaky", 1, 5)
    parts = [(event["run"], event["shard"], event["attempt"]) for event in ran.of("test_finished")]
    assert len(parts) == len(set(parts)) == 5 and {part[:2] for part in parts} == {(1, 1), (1, 2), (2, 1), (2, 2)}
    found = {str(path.relative_to(it.out("t.test"))) for path in it.out("t.test").rglob("test.log")}
    whole = {f"shard_{shard}_of_2_run_{run}_of_2/test.log" for shard in (1, 2) for run in (1, 2)}
    (more,) = found - whole
    assert found >= whole and more.endswith("/attempt_1/test.log")
    assert len(it.bldr("test", "--runs-per-test=2").ran) == 4  # runs that somebody asks for are no memories
    assert it.bldr("test", "--runs-per-test=2", "--cache-test-results=yes").ran == []


def test_one_shard_that_hangs_is_a_timeout_and_its_output_is_kept(project):
    command = SHARE + "test $TEST_SHARD_INDEX = 0 || sleep 100"
    it = project({"Builderfile": target("t", command, shard_count=2)})
    ended = it.bldr("test", "--hermetic", "--test-timeout=1500ms")
    assert ended.exit_code == 3, ended
    assert summary(ended) == ("timeout", 1, 2)
    assert "//:t TIMEOUT in 1 out of 2 shards" in ended.stdout
    assert it.read("bldr-out/t.test/shard_2_of_2/test.log") == "share 1 of 2\n"


def test_an_interrupt_ends_all_shards_and_tries_nothing_again(project, tmp_path):
    mark = tmp_path / "began"
    it = project({"Builderfile": flaky("t", SHARE + f"echo >> {mark}; sleep 100", shard_count=3, flaky="true")})
    process = it.start("test", "-j2")
    try:
        while not mark.exists() or len(mark.read_bytes()) < 2:
            assert process.poll() is None, process.communicate()
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 8, err
    assert out == "//:t NO STATUS\n"
    assert "1 test not run" in err and "tried again" not in err
    assert len(mark.read_bytes()) == 2


def test_what_a_test_prints_can_be_seen_while_it_runs(project, tmp_path):
    mark = tmp_path / "seen"
    wait = f"printf 'who is there?'; until test -e {mark}; do sleep 0.05; done; echo ' me'"
    it = project({"Builderfile": flaky("t", wait, shard_count=2)})
    process = it.start("test", "--test-output=streamed")
    try:
        text = ""
        while "who is there?" not in text:
            byte = process.stderr.read(1)
            assert byte, text
            text += byte
        mark.touch()
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, err
    assert text == "testing //:t\nwho is there?"
    assert err.startswith(" me\n") and out.startswith("//:t PASSED in ")
