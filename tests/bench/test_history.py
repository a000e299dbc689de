"""What is kept of a run, and what is said of the next one."""

import json

import pytest


@pytest.fixture
def races(bench):
    measure = bench("measure")
    rows = (measure.Row("ninja", 3, 1.0, 0.9, 1.0, None, None), measure.Row("bldr", 3, 2.0, 1.9, 2.0, 0.5, 38 << 20))
    race = measure.Race("clean", rows, (measure.Skipped("make", "apt-get install make"),))
    return [race.read(race.reading("clean-1000", "bldr", "ninja"))]


def test_every_figure_is_kept_with_machine_date_and_versions(bench, races):
    found = json.loads(bench("history").as_json("2 cores", "whole", races, ["ninja 1.13"]))
    assert found["date"].endswith("Z")
    assert (found["machine"], found["kind"], found["peers"]) == ("2 cores", "whole", ["ninja 1.13"])
    assert found["readings"] == {"clean-1000": {"value": 2.0, "least": pytest.approx(1.9 / 0.9), "note": ""}}
    assert found["races"][0]["rows"][1]["memory_bytes"] == 38 << 20
    assert found["races"][0]["skipped"] == [{"name": "make", "install": "apt-get install make"}]


def test_only_a_run_of_the_same_kind_on_the_same_machine_compares(bench, races, tmp_path):
    history = bench("history")
    for name, machine, kind in (("1", "here", "whole"), ("2", "here", "part"), ("3", "there", "whole")):
        (tmp_path / f"{name}.json").write_text(history.as_json(machine, kind, races, []))
    (tmp_path / "4.json").write_text("half a fi")
    assert history.last("here", "whole", str(tmp_path))["kind"] == "whole"
    assert history.last("nowhere", "whole", str(tmp_path)) is None
    assert history.last("here", "whole", str(tmp_path / "none")) is None


def test_a_run_is_saved_where_it_was_wanted_too(bench, tmp_path):
    bench("history").save("{}\n", str(tmp_path / "wanted"), directory=str(tmp_path / "kept"))
    assert (tmp_path / "wanted").read_text() == "{}\n"
    assert [path.read_text() for path in (tmp_path / "kept").iterdir()] == ["{}\n"]


def test_better_and_worse_are_told_apart(bench):
    bars, measure, history = bench("bars"), bench("measure"), bench("history")
    before = {"readings": {name: {"value": value} for name, value in
                           {"launch": 1.0, "launch-two": 1.0, "lua": 1.0, "clean-1000": None}.items()}}  # fmt: skip
    now = {"launch": 2.0, "launch-two": 2.0, "lua": 1.05, "clean-1000": 3.0, "edit-10000": 1.0}
    lines = history.changes(before, bars.verdicts(measure.Reading(name, value, value) for name, value in now.items()))
    assert [line.split()[:2] for line in lines] == [["WORSE", "launch"], ["better", "launch-two"]]
