"""Races: who runs when, and what is made of the samples."""

import pytest


def test_contenders_take_turns_and_nobody_always_follows_the_same(bench):
    measure = bench("measure")
    ran = []

    def contender(name):
        def run():
            ran.append(name)
            return measure.Sample(1.0)

        return measure.Contender(name, run, lambda: ran.append(f"prepare {name}"))

    found = measure.race("which", [contender("a"), contender("b")], runs=2, warm_up=1)
    assert [name for name in ran if len(name) == 1] == ["b", "a", "a", "b", "b", "a"]
    assert ran[:4] == ["prepare b", "b", "prepare a", "a"]
    assert [row.runs for row in found.rows] == [2, 2]  # the warm-up does not count


def test_ratios_are_of_medians_and_to_the_first_that_is_there(bench):
    measure = bench("measure")
    samples = {"one": [1.0, 2.0, 30.0], "two": [5.0, 1.0, 9.0]}
    rows = measure.summarize({name: [measure.Sample(wall_s) for wall_s in walls] for name, walls in samples.items()})
    assert [(row.median_s, row.least_s, row.ratio) for row in rows] == [(2.0, 1.0, 1.0), (5.0, 1.0, 2.5)]
    assert all(row.cpu_s is None and row.memory_bytes is None for row in rows)


def test_who_is_absent_is_named_with_what_to_install(bench, monkeypatch):
    measure, peers = bench("measure"), bench("peers")
    monkeypatch.setattr(peers, "find", lambda _program: "")
    absent = peers.contender("ninja", "ninja", lambda path: measure.run_command([path]))
    here = measure.Contender("here", lambda: measure.Sample(1.0))
    found = measure.race("which", [absent, here], runs=1)
    assert [row.name for row in found.rows] == ["here"]
    assert found.skipped[0].name == "ninja"
    assert "ninja-build" in found.skipped[0].install


def test_a_command_that_fails_has_no_time(bench):
    measure = bench("measure")
    assert measure.run_command(["/bin/sh", "-c", "exit 0"]).wall_s > 0
    with pytest.raises(measure.CommandFailedError, match="exit code 3 of: /bin/sh"):
        measure.run_command(["/bin/sh", "-c", "exit 3"])


def test_timed_commands_keep_their_byte_code(bench, monkeypatch, tmp_path):
    measure = bench("measure")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.chdir(tmp_path)
    measure.run_command(["/bin/sh", "-c", "env; pwd"], str(tmp_path), str(tmp_path / "output"))
    text = (tmp_path / "output").read_text()
    assert "PYTHON" not in text
    assert text.endswith(f"{tmp_path}\n")


def test_a_reading_is_a_ratio_of_costs_above_something(bench):
    measure = bench("measure")
    figures = {"spawn": (1.0, 0.5), "theirs": (5.0, 4.5), "ours": (3.0, 1.5)}
    rows = [measure.Row(name, 3, median, least, 1.0, None, None) for name, (median, least) in figures.items()]
    race = measure.Race("it", tuple(rows))
    assert race.reading("launch", "ours", "theirs") == measure.Reading("launch", 0.6, 1.5 / 4.5)
    assert race.reading("launch", "ours", "theirs", above="spawn") == measure.Reading("launch", 0.5, 0.25)
    assert race.reading("launch", "spawn", "theirs", above="ours").value == 0.0
    assert race.reading("launch", "ours", "spawn", above="theirs").value is None  # noise took all of it
    assert race.reading("launch", "ours", "absent").note == "not here: absent"
