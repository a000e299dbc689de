"""All languages say the same graph, and what is said of races of graphs."""

import os
import re
import tomllib

import pytest


def test_chains_are_ten_long_and_packages_hold_a_hundred(bench):
    tools = bench("tools")
    nodes = list(tools.nodes(250))
    assert len(set(nodes)) == 250
    assert {node.package for node in nodes} == {"p0", "p1", "p2"}
    depth = {}
    for node in nodes:
        depth[node.package, node.name] = 1 + depth[node.package, node.dep] if node.dep else 1
    assert max(depth.values()) == tools.DEPTH
    assert list(depth.values()).count(1) == 25


def edges(pattern, text):
    return {(output, dep) for output, dep in re.findall(pattern, text, re.MULTILINE)}


def test_every_language_has_the_same_edges(bench, tmp_path):
    tools = bench("tools")
    made = {kind: kind(str(tmp_path), 120) for kind in (tools.Ninja, tools.Make, tools.Bazel, tools.Bldr)}
    for tool in made.values():
        tool.describe()
    expected = {(f"{node.package}/{node.name}", f"{node.package}/{node.dep}" if node.dep else "")
                for node in tools.nodes(120)}  # fmt: skip
    ninja = (tmp_path / "ninja/build.ninja").read_text()
    assert edges(r"^build out/(\S+): cat \S+(?: out/(\S+))?$", ninja) == expected
    make = (tmp_path / "make/Makefile").read_text()
    assert edges(r"^out/(\S+): \S+(?: out/(\S+))?$", make) == expected
    bazel, bldr = set(), set()
    for package in ("p0", "p1"):
        text = (tmp_path / "bazel" / package / "BUILD").read_text()
        for name, dep in edges(r'name="(\S+)", srcs=\["\S+?"(?:, "(\S+)\.out")?\]', text):
            bazel.add((f"{package}/{name}", f"{package}/{dep}" if dep else ""))
        tables = tomllib.loads((tmp_path / "bldr" / package / "Builderfile").read_text())["target"]
        for name, table in tables.items():
            dep = table.get("deps", [""])[0].removeprefix(":")
            bldr.add((f"{package}/{name}", f"{package}/{dep}" if dep else ""))
    assert bazel == bldr == expected


def test_an_edit_is_new_every_time_and_of_the_last_of_a_chain(bench, tmp_path):
    tool = bench("tools").Ninja(str(tmp_path), 20)
    tool.write()
    texts = set()
    for _ in range(2):
        tool.edit()
        texts.add((tmp_path / "ninja/p0/t9.txt").read_text())
    assert len(texts) == 2
    assert (tmp_path / "ninja/p0/t8.txt").read_text() == "p0/t8.txt\n"


def test_growth_is_ours_by_ninja_s(bench):
    graphs, measure = bench("graphs"), bench("measure")

    def race(ours_s, ninja_s):
        rows = [
            measure.Row(name, 1, s, s / 2, 1.0, None, None) for name, s in ((graphs.OURS, ours_s), ("ninja", ninja_s))
        ]
        return measure.Race("it", tuple(rows))

    found = graphs.growth("growth-null", race(1.0, 2.0), race(30.0, 20.0))
    assert (found.value, found.least) == (3.0, 3.0)
    assert graphs.growth("growth-null", race(1.0, 2.0), None).value is None


def test_a_large_graph_that_is_not_kept_is_skipped_by_name(bench, tmp_path, monkeypatch):
    graphs, bars = bench("graphs"), bench("bars")
    monkeypatch.setenv("BLDR_BENCH_DIR", str(tmp_path))
    races = list(graphs.run(str(tmp_path), full=False, runs=1, sizes=[graphs.KEPT_TARGETS]))
    assert "--full" in races[0].skipped[0].install
    words = {verdict.bar.name: verdict.word for verdict in bars.verdicts(r for race in races for r in race.readings)}
    assert words["null-100000"] == "not measured (no built graph is kept)"


@pytest.mark.full
def test_they_build_it_to_the_same_bytes(bench, tmp_path):
    """And a checkout that nobody built in gets the same from the cache."""
    graphs, tools, measure = bench("graphs"), bench("tools"), bench("measure")
    here = os.getcwd()
    try:
        graph = graphs.Graph(str(tmp_path), 20, (tools.Ninja, tools.Make, tools.Doit, tools.Scons))
        graph.write()
        race = graphs.clean(graph, 1, fresh=True)
        assert {graphs.OURS, graphs.FRESH} <= {row.name for row in race.rows}
        assert all(isinstance(reading, measure.Reading) for reading in race.readings)
    finally:
        os.chdir(here)
    last = "".join(f"p0/t{index}.txt\n" for index in range(19, 9, -1))
    for place in ("bldr", "bldr-checkout-1"):
        assert (tmp_path / place / "bldr-out/p0/t19.out").read_text() == last
    assert "0 ran, 20 cached" in (tmp_path / "bldr.output").read_text()
    for tool in graph.peers:
        assert (tmp_path / tool.name / "out/p0/t19").read_text() == last
