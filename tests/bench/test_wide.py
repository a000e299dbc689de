"""The graph with many files and few targets: the same files for both tools."""

import pytest


@pytest.fixture
def wide(bench, monkeypatch):
    module = bench("wide")
    monkeypatch.setattr(module, "TARGETS", 3)
    monkeypatch.setattr(module, "FILES", 4)
    return module


@pytest.mark.full
def test_both_tools_make_as_many_files(wide, bench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (race,) = wide.run(str(tmp_path), runs=1)
    assert {row.name for row in race.rows} <= {"ninja", bench("graphs").OURS}
    assert race.readings[0].bar == "null-files"
    for made in (tmp_path / "ninja/out", tmp_path / "bldr/bldr-out"):
        assert len([path for path in made.glob("p*/f*") if path.is_file()]) == 12
    assert "0 ran" in (tmp_path / "bldr.output").read_text()
