"""Costs of one target, launch and input, from races of two sizes."""

import pathlib
import re

import pytest


@pytest.fixture
def race(bench):
    measure = bench("measure")

    def make(title, name, least_s, memory_bytes=None):
        return measure.Race(title, (measure.Row(name, 3, 99.0, least_s, 1.0, None, memory_bytes),))

    return make


def test_a_slope_is_between_two_races_and_of_the_fastest_runs(bench, race):
    graphs, constants = bench("graphs"), bench("constants")
    races = [
        race("null build of 1,000 targets", graphs.OURS, 0.020),
        race("null build of 10,000 targets", graphs.OURS, 0.110),
        race("clean build of 1,000 actions", graphs.OURS, 3.0, 40 << 20),
        race("clean build of 10,000 actions", graphs.OURS, 30.0, 130 << 20),
    ]
    found = {constant.symbol: constant.cost for constant in constants.constants(races)}
    assert found == {"n": "10 us", "a": "3.00 ms", "m": "10.2 KiB"}


def test_what_nobody_measured_is_left_out(bench, race):
    constants, launches = bench("constants"), bench("launches")
    assert constants.constants([]) == []
    (found,) = constants.constants([race("launch of `true`", launches.OURS, 0.003)])
    assert (found.symbol, found.cost, found.source) == ("l", "3.00 ms", "launch of `true`")


def test_the_document_has_a_place_for_them_and_a_formula_with_each(bench):
    constants, table = bench("constants"), bench("table")
    text = (pathlib.Path(__file__).parents[2] / "docs/concepts/scale.md").read_text()
    assert text.count(table.BEGIN) == text.count(table.END) == 1
    formulas = text.partition("## The formulas")[2].partition(table.BEGIN)[0]
    symbols = [line[0] for line in (*constants._SLOPES, *constants._SINGLE)]
    assert not [symbol for symbol in symbols if not re.search(rf"\b{symbol}\b", formulas)]
    written = constants.markdown([constants.Constant("n", "a target", "10 us", "two races")])
    assert written.splitlines()[2].count("|") == 5
