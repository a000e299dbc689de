"""The whole command, at its smallest."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "bench" / "run.py"


@pytest.mark.full
def test_figures_are_printed_and_kept_and_the_document_is_left_alone(tmp_path):
    document = RUN.parents[1] / "docs" / "performance.md"
    before = document.read_text()
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, str(RUN), "--only", "startup", "--runs", "1", "--json", str(figures)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "python -c pass" in done.stdout
    assert json.loads(figures.read_text())["races"][0]["rows"][0]["name"] == "python -c pass"
    assert document.read_text() == before


def test_the_document_has_a_place_for_the_tables(bench):
    table = bench("table")
    text = (RUN.parents[1] / "docs" / "performance.md").read_text()
    assert text.count(table.BEGIN) == text.count(table.END) == 1
