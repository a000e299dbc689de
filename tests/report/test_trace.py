"""The profile: a Chrome trace whose slots never overlap."""

import json

import pytest

from bldr.api.errors import BldrError
from bldr.api.events import AnalysisFinished, BuildFinished, BuildStarted
from bldr.api.sandbox import Usage, Verdict
from bldr.report.trace import TraceListener


@pytest.fixture
def trace(tmp_path):
    """Feed events to a trace listener and return what the file holds."""

    def make(*events):
        path = tmp_path / "trace.json"
        listener = TraceListener(str(path))
        for event in events:
            listener.on_event(event)
        listener.close()
        return json.loads(path.read_text())

    return make


def test_actions_are_complete_events_on_the_thread_of_their_slot(trace, started, finished):
    events = trace(
        BuildStarted(command="build", workspace="w", patterns=("//...",), isolation="best", sandbox="linux", jobs=2),
        AnalysisFinished(targets=1, actions=4, tests=0, time_s=0.25),
        finished(9, "//lib:lib", "CcCompile", cached=True, time_s=0.5),
        started(1, time_s=1.0),
        started(2, "//b:b", "CcLink", "Linking b", time_s=1.5),
        finished(1, time_s=3.0),
        started(3, "//c:c", "Copy", "", time_s=3.0),
        finished(3, "//c:c", "Copy", time_s=3.5),
        finished(2, "//b:b", "CcLink", status="failed", exit_code=1, time_s=4.0),
        BuildFinished(success=False, exit_code=1, ran=3, cached=1, failed=1, time_s=4.5),
    )
    shown = [
        (event["name"], event["tid"], event["ts"], event["dur"])
        for event in events
        if event["ph"] == "X" and event["tid"] > 0
    ]
    assert shown == [
        ("//app:app: Compiling app/main.c", 1, 1_000_000, 2_000_000),
        ("//c:c: Copy", 1, 3_000_000, 500_000),  # the lowest free slot again
        ("//b:b: Linking b", 2, 1_500_000, 2_500_000),
    ]
    whole = {event["name"]: event for event in events if event["ph"] == "X" and event["tid"] == 0}
    assert whole["load and analyse"]["dur"] == 250_000
    assert whole["build"]["args"] == {"ran": 3, "cached": 1, "failed": 1, "exit_code": 1}
    running = [event["args"]["running"] for event in events if event["name"] == "running actions"]
    assert running == [1, 2, 1, 2, 1, 0, 0]
    names = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert names == {0: "build", 1: "slot 1", 2: "slot 2"}


def test_every_event_has_what_the_format_demands(trace, started, finished, tested):
    events = trace(started(1, time_s=1), finished(1, time_s=2), tested(time_s=3))
    for event in events:
        assert {"ph", "pid", "tid", "name"} <= event.keys()
        assert event["ph"] in "MXCi"
        assert event["ph"] == "M" or isinstance(event["ts"], int)
    complete = next(event for event in events if event["ph"] == "X")
    assert complete["cat"] == "CcCompile"
    assert complete["args"]["memory_peak_bytes"] == 1024
    assert "cpu_s" not in complete["args"]  # not known is not zero
    assert complete["args"]["reason"] == "new"


def test_the_trace_of_a_build_that_was_killed_lacks_nothing_but_its_end(tmp_path, started, finished):
    path = tmp_path / "trace.json"
    listener = TraceListener(str(path))
    listener.on_event(started(1))
    listener.on_event(finished(1))
    listener._file.flush()
    assert json.loads(path.read_text() + "]")
    listener.close()


def test_a_file_that_cannot_be_written_is_told_before_anything_runs(tmp_path):
    with pytest.raises(BldrError, match="cannot write the profile"):
        TraceListener(str(tmp_path / "no" / "trace"))


def test_an_action_has_its_limits_its_use_and_what_ended_it(trace, started, finished):
    verdict = Verdict("memory", 4096, 5000, "bytes")
    usage = Usage(wall_s=0.5, cpu_s=0.25, memory_peak_bytes=4000)
    events = trace(
        started(1, time_s=1), finished(1, time_s=2, status="killed", verdict=verdict, usage=usage),
        started(2, time_s=2), finished(2, time_s=3),
    )  # fmt: skip
    first, second = (event["args"] for event in events if event["ph"] == "X" and event["tid"] > 0)
    assert first["limits"] == {"memory": 4096.0}
    assert (first["cpu_s"], first["memory_peak_bytes"]) == (0.25, 4000)
    assert first["verdict"] == "memory limit of 4 KiB reached (used 4.9 KiB)"
    assert "verdict" not in second
