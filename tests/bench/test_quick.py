"""The quick run: what fails twice fails, what fails once was noise."""

import pytest


@pytest.fixture
def quick(bench, monkeypatch):
    bars = bench("bars")
    monkeypatch.setattr(bars, "BARS", (bars.Bar("one", "one", 1.0, guard=2.0), bars.Bar("two", "two", 1.0, guard=2.0)))
    return bench("quick")


def attempts(bench, *figures):
    """A measurement whose runs give these figures of `one` and `two`, and the places that it was given."""
    measure = bench("measure")
    left, places = list(figures), []

    def run(place):
        places.append(place)
        readings = [
            measure.Reading(name, value, value) for name, value in zip(("one", "two"), left.pop(0), strict=True)
        ]
        return [measure.Race("it", (), (), tuple(readings))]

    return run, places


def test_what_is_within_its_guard_is_measured_once(bench, quick):
    run, places = attempts(bench, (1.9, 1.0))
    assert quick.tried(run, "/place") == []
    assert places == ["/place-1"]


def test_a_figure_that_was_bad_once_passes(bench, quick):
    run, places = attempts(bench, (3.0, 1.0), (1.0, 1.0))
    assert quick.tried(run, "/place") == []
    assert places == ["/place-1", "/place-2"]


def test_only_what_was_bad_both_times_fails(bench, quick):
    run, _ = attempts(bench, (3.0, 3.0), (1.0, 3.0))
    assert [reading.bar for reading in quick.tried(run, "/place")] == ["two"]
    run, _ = attempts(bench, (3.0, 1.0), (1.0, 3.0))
    assert quick.tried(run, "/place") == []


def test_the_exit_code_tells(bench, quick, monkeypatch, capsys):
    good, bad = attempts(bench, (1.0, 1.0))[0], attempts(bench, (1.0, 3.0), (1.0, 3.0))[0]
    monkeypatch.setattr(quick, "launching", good)
    monkeypatch.setattr(quick, "building", bad)
    assert quick.run("/place") == 1
    assert "grossly worse than it was: two: 3 x, guard 2 x" in capsys.readouterr().out


def test_an_absent_peer_fails_nothing(bench, quick, capsys):
    measure = bench("measure")
    reading = measure.Reading("one", None, None, "not here: ninja")
    assert quick.tried(lambda _place: [measure.Race("it", (), (), (reading,))], "/place") == []
    assert "not here: ninja" in capsys.readouterr().out
