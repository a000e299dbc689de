"""Tables as people read them, and the part of the document that is written anew."""

import pytest


@pytest.fixture
def race(bench):
    measure = bench("measure")
    rows = (
        measure.Row("ninja", 3, 0.008, 0.0075, 1.0, 0.005, None),
        measure.Row("bldr --hermetic", 3, 1.25, 0.98, 156.25, 0.5, 38 << 20),
    )
    return measure.Race("null build", rows, (measure.Skipped("make", "apt-get install make"),))


def test_a_race_is_an_aligned_table(bench, race):
    lines = bench("table").markdown(race).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[4:8]]
    assert lines[0] == "### Null build"
    assert cells[2] == ["ninja", "8.00 ms", "7.50 ms", "1.00", "5.00 ms", ""]
    assert cells[3] == ["bldr --hermetic", "1.25 s", "980 ms", "156.25", "500 ms", "38 MiB"]
    assert len({len(line) for line in lines[4:8]}) == 1
    assert lines[-1] == "Skipped: make (to have it: apt-get install make)."


def test_a_race_that_nobody_ran_says_who_was_not_there(bench):
    measure = bench("measure")
    text = bench("table").markdown(measure.Race("much", (), (measure.Skipped("all of it", "--full"),)))
    assert text == "### Much\n\n\nSkipped: all of it (to have it: --full).\n"


def test_every_bar_stands_beside_its_figure(bench):
    bars, measure, table = bench("bars"), bench("measure"), bench("table")
    readings = [
        measure.Reading("launch", 0.4, 0.5),
        measure.Reading("launch-two", 1.2, 1.1),
        measure.Reading("watch-1000", 59.6, 40.0),
        measure.Reading("lua", None, None, "not here: make -j2"),
        measure.Reading("memory-10000", 119.0, 119.0, "without a clean build"),
    ]
    lines = table.bars(bars.verdicts(readings)).splitlines()
    cells = {line.split("(`")[1].split("`")[0]: [cell.strip() for cell in line.split("|")[2:6]] for line in lines[2:]}
    assert list(cells) == [bar.name for bar in bars.BARS]
    assert cells["launch"] == ["<= 0.45 x", "0.4 x", "0.5 x", "met"]
    assert cells["launch-two"] == [">= 1.7 x", "1.2 x", "1.1 x", "not met"]
    assert cells["watch-1000"] == ["<= 60 ms", "60 ms", "40 ms", "met"]
    assert cells["lua"] == ["<= 1.1 x", "", "", "not measured (not here: make -j2)"]
    assert cells["memory-10000"] == ["<= 120 MB", "119 MB", "119 MB", "met (without a clean build)"]
    assert cells["null-1000"] == ["<= 4 x", "", "", "not measured in this run"]
    assert len({len(line) for line in lines}) == 1


def test_only_the_part_between_the_markers_is_written_anew(bench):
    table = bench("table")
    document = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
    once = table.replace_generated(document, "new")
    assert once == f"before\n{table.BEGIN}\n\nnew\n{table.END}\nafter\n"
    assert table.replace_generated(once, "new") == once


def test_a_document_without_markers_is_left_alone(bench):
    with pytest.raises(ValueError, match="markers are missing"):
        bench("table").replace_generated("no markers\n", "new")
