"""The event stream: one order for all, time stamps, and listeners that break."""

import pytest

from bldr.api.events import TargetAnalyzed
from bldr.api.events import Warning as WarningEvent
from bldr.report.stream import EventStream


class Clock:
    """Time that passes only when told."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


class Recorder:
    def __init__(self):
        self.events = []
        self.closed = False

    def on_event(self, event):
        assert not self.closed
        self.events.append(event)

    def close(self):
        self.closed = True


class Broken(Recorder):
    def on_event(self, event):
        super().on_event(event)
        raise RuntimeError("no more ink")


def analyzed(label):
    return TargetAnalyzed(label=label, actions=1)


def test_events_carry_the_seconds_since_the_stream_began():
    clock, recorder = Clock(), Recorder()
    stream = EventStream([recorder], clock)
    stream.emit(analyzed("//a:a"))
    clock.now_s += 2.5
    stream.emit(analyzed("//b:b"))
    assert [event.time_s for event in recorder.events] == [0.0, 2.5]
    assert stream.now_s() == 2.5


def test_a_listener_that_raises_is_switched_off_and_named_after_the_event_that_it_broke_on():
    before, after, broken = Recorder(), Recorder(), Broken()
    stream = EventStream([before, broken, after], Clock())
    stream.emit(analyzed("//a:a"))
    stream.emit(analyzed("//b:b"))
    assert before.events == after.events
    first, warning, second = after.events
    assert (first.label, second.label) == ("//a:a", "//b:b")
    assert isinstance(warning, WarningEvent) and warning.kind == "listener"
    assert "Broken failed and was switched off: no more ink" in warning.message
    assert len(broken.events) == 1


def test_an_event_that_a_listener_emits_comes_after_the_one_it_answers_for_everybody():
    class Answering(Recorder):
        def on_event(self, event):
            super().on_event(event)
            if event.label == "//question:q":
                stream.emit(analyzed("//answer:a"))

    first, last = Answering(), Recorder()
    stream = EventStream([first, last], Clock())
    stream.emit(analyzed("//question:q"))
    assert [event.label for event in last.events] == ["//question:q", "//answer:a"]
    assert first.events == last.events


def test_the_first_listener_is_closed_last_and_hears_of_a_close_that_failed():
    class Full(Recorder):
        def close(self):
            raise OSError("disk full")

    display = Recorder()
    stream = EventStream([display, Full()], Clock())
    stream.close()
    assert display.closed
    assert "disk full" in display.events[0].message


def test_an_interrupt_inside_a_listener_is_not_swallowed():
    class Interrupted(Recorder):
        def on_event(self, event):
            raise KeyboardInterrupt

    stream = EventStream([Interrupted()], Clock())
    with pytest.raises(KeyboardInterrupt):
        stream.emit(analyzed("//a:a"))


def test_ticks_reach_those_who_draw_and_switch_off_those_who_fail():
    class Drawing(Recorder):
        ticks = 0

        def tick(self):
            self.ticks += 1
            if self.ticks == 2:
                raise ValueError("bad brush")

    recorder, drawing = Recorder(), Drawing()
    stream = EventStream([recorder, drawing], Clock())
    for _ in range(3):
        stream.tick()
    assert drawing.ticks == 2
    assert [event.kind for event in recorder.events] == ["listener"]


def test_a_listener_is_told_of_the_kinds_that_it_names_only():
    everything, warnings = Recorder(), Recorder()
    warnings.kinds = (WarningEvent,)
    stream = EventStream([everything, warnings], Clock())
    stream.emit(analyzed("//a:a"))
    stream.emit(WarningEvent(kind="x", message="y"))
    assert [type(event) for event in warnings.events] == [WarningEvent]
    assert len(everything.events) == 2
    assert stream.wants(TargetAnalyzed)


def test_what_nobody_hears_is_not_wanted_also_after_the_last_who_did_broke():
    warnings, broken = Recorder(), Broken()
    warnings.kinds = (WarningEvent,)
    stream = EventStream([warnings, broken], Clock())
    assert stream.wants(TargetAnalyzed)
    stream.emit(analyzed("//a:a"))
    assert not stream.wants(TargetAnalyzed)
    assert [event.kind for event in warnings.events] == ["listener"]
