"""What a figure says of its bar, and when a quick run fails."""

import pytest


def test_names_are_there_once_and_guards_let_the_bar_itself_pass(bench):
    bars = bench("bars").BARS
    assert len({bar.name for bar in bars}) == len(bars)
    assert all(bar.guard is None or bar.holds(bar.bar, bar.guard) for bar in bars)


def test_the_bars_are_those_that_were_asked_for(bench):
    bars = {bar.name: bar.bar for bar in bench("bars").BARS}
    assert (bars["launch"], bars["launch-200"], bars["launch-2000"]) == (0.45, 0.06, 0.01)
    assert (bars["null-1000"], bars["null-10000"], bars["null-100000"]) == (4.0, 0.8, 0.6)
    assert (bars["clean-1000"], bars["clean-10000"], bars["clean-bazel"]) == (2.0, 2.0, 0.25)
    assert (bars["edit-10000"], bars["cached-10000"], bars["lua"]) == (1.5, 0.1, 1.10)
    assert (bars["memory-10000"], bars["memory-100000"], bars["launch-two"]) == (120, 700, 1.7)


def test_a_figure_is_held_against_its_bar(bench):
    bars, measure = bench("bars"), bench("measure")
    readings = [measure.Reading("lua", 1.1, 1.0), measure.Reading("launch-two", 1.69, 2.0)]
    words = {verdict.bar.name: verdict.word for verdict in bars.verdicts(readings)}
    assert (words["lua"], words["launch-two"]) == ("met", "not met")
    assert words["launch"] == "not measured in this run"


def test_the_first_measurement_that_says_something_counts(bench):
    bars, measure = bench("bars"), bench("measure")
    readings = [measure.Reading("lua", None, None, "absent"), measure.Reading("lua", 1.0, 1.0)]
    assert next(verdict.word for verdict in bars.verdicts(readings) if verdict.bar.name == "lua") == "met"


def test_a_figure_of_no_bar_is_a_mistake(bench):
    with pytest.raises(KeyError):
        bench("bars").verdicts([bench("measure").Reading("lunch", 1.0, 1.0)])


@pytest.mark.parametrize(
    ("value", "least", "fails"),
    [
        (100.0, 100.0, True),
        (100.0, 1.0, False),  # noise: the fastest run is as fast as ever
        (1.0, 100.0, False),
        (1.0, 1.0, False),
        (100.0, None, True),
        (None, None, False),  # nothing to say where a peer is absent
    ],
)
def test_a_guard_needs_medians_and_least_figures_to_agree(bench, monkeypatch, value, least, fails):
    bars, measure = bench("bars"), bench("measure")
    monkeypatch.setattr(bars, "BARS", (bars.Bar("it", "it", 1.0, guard=2.0), bars.Bar("free", "free", 1.0)))
    readings = [measure.Reading("it", value, least), measure.Reading("free", 99.0, 99.0)]
    assert [reading.bar for reading in bars.passed(readings)] == ["it"] * fails


def test_a_guard_of_what_should_be_large_holds_from_below(bench, monkeypatch):
    bars, measure = bench("bars"), bench("measure")
    monkeypatch.setattr(bars, "BARS", (bars.Bar("it", "it", 1.7, at_least=True, guard=1.0),))
    assert bars.passed([measure.Reading("it", 0.9, 0.8)])
    assert not bars.passed([measure.Reading("it", 1.1, 0.8)])
