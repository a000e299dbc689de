"""The events file: every event is a line, and its fields are those that the documentation names."""

import json
import os

import pytest

from bldr.api.errors import BldrError
from bldr.api.events import BuildFinished, BuildStarted
from bldr.report.jsonl import JsonLinesListener


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_event_is_an_object_with_its_name_and_time(tmp_path, started, finished, tested):
    path = tmp_path / "events"
    listener = JsonLinesListener(str(path))
    begin = BuildStarted(
        command="build", workspace="demo", patterns=("//...",), isolation="require", sandbox="linux", jobs=2
    )
    listener.on_event(begin)
    listener.on_event(started(1, time_s=0.5))
    listener.on_event(finished(1, time_s=1.0))
    listener.on_event(tested())
    listener.on_event(BuildFinished(success=True, exit_code=0, ran=1, cached=0, failed=0))
    listener.close()
    events = lines_of(path)
    names = ["build_started", "action_started", "action_finished", "test_finished", "build_finished"]
    assert [event["event"] for event in events] == names
    assert [event["time_s"] for event in events] == [0.0, 0.5, 1.0, 0.0, 0.0]
    assert events[0]["patterns"] == ["//..."]
    assert events[2]["isolation"] == {"fs-read": "kernel", "memory": "supervised"}
    assert events[2]["usage"]["memory_peak_bytes"] == 1024
    promised = {"label", "mnemonic", "cached", "exit_code", "duration_s", "isolation", "limits", "usage", "verdict"}
    assert promised <= events[2].keys()


def test_a_line_is_there_as_soon_as_its_event_was(tmp_path, started):
    path = tmp_path / "events"
    listener = JsonLinesListener(str(path))
    listener.on_event(started(1))
    assert len(lines_of(path)) == 1
    listener.close()


def test_an_older_and_longer_file_is_replaced(tmp_path, started):
    path = tmp_path / "events"
    path.write_text("old\n" * 1000)
    listener = JsonLinesListener(str(path))
    listener.on_event(started(1))
    listener.close()
    listener.close()
    assert len(lines_of(path)) == 1


def test_a_pipe_gets_all_of_a_large_event(started):
    reading, writing = os.pipe()
    try:
        listener = JsonLinesListener(f"/dev/fd/{writing}")
        listener.on_event(started(1, reason="x" * 30_000))
        listener.close()
        assert len(json.loads(os.read(reading, 1 << 20))["reason"]) == 30_000
    finally:
        os.close(reading)
        os.close(writing)


def test_a_file_that_cannot_be_written_is_told_before_anything_runs(tmp_path):
    with pytest.raises(BldrError, match=r"cannot write events to .*: No such file"):
        JsonLinesListener(str(tmp_path / "no" / "events"))
