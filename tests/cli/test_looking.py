"""The commands that look: query, explain, log, doctor, schema, gc, clean and fetch on a workspace of commands."""

import json

import pytest

BUILDERFILE = """\
[workspace]
name = "demo"

[target.upper]
type = "command"
sources = ["in.txt"]
outputs = ["out.txt"]
command = "tr a-z A-Z < $SRCS > $OUT && echo done it"

[target.again]
type = "command"
sources = [":upper"]
outputs = ["again.txt"]
command = ["cp", "$SRCS", "again.txt"]
"""


@pytest.fixture
def demo(workspace):
    return workspace({"Builderfile": BUILDERFILE, "in.txt": "hello\n", "sub/Builderfile": "", "sub/x.txt": ""})


def test_query_in_every_format(bldr, demo):
    assert bldr("query") == (0, "//:again\n//:upper\n", "")
    assert bldr("query", "deps(//:again) - //:again") == (0, "//:upper\n", "")
    assert bldr("query", "//...", "--", "-//:again") == (0, "//:upper\n", "")
    assert bldr("query", "--format=dot", "//...").out == (
        'digraph targets {\n  node [shape=box];\n  "//:again";\n  "//:again" -> "//:upper";\n  "//:upper";\n}\n'
    )
    assert json.loads(bldr("query", "--format=json", "//:again").out) == [
        {
            "label": "//:again",
            "type": "command",
            "language": None,
            "kind": "command",
            "description": "",
            "tags": [],
            "deps": ["//:upper"],
        }
    ]
    done = bldr("query", "dps(//...)")
    assert done.code == 2
    assert done.err.startswith('error: query:1: no function "dps"\n    dps(//...)\n    ^\nhint: did you mean "deps"?')


def test_query_counts_from_where_the_user_stands(bldr, demo, monkeypatch):
    monkeypatch.chdir(demo / "sub")
    assert bldr("query", "//:upper").out == "//:upper\n"
    assert bldr("query", "-C", "..", "upper").out == "//:upper\n"


def test_a_mistake_in_the_workspace_is_told_with_its_place(bldr, workspace):
    workspace({"Builderfile": '[workspace]\nname = "w"\n\n[target.a]\ntype = "comand"\n'})
    done = bldr("query")
    assert done.code == 2
    assert done.err.startswith("Builderfile:5:")
    assert 'hint: did you mean "command"?' in done.err


def test_no_workspace_is_a_usage_error(bldr, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert bldr("query").code == 2
    assert bldr("build").code == 2


@pytest.mark.full
def test_a_build_can_be_looked_at_and_taken_back(bldr, demo):
    before = bldr("explain")
    assert before.code == 0
    assert "must run: " in before.out
    assert bldr("build", "-v").code == 0
    assert (demo / "bldr-out" / "again.txt").read_text() == "HELLO\n"
    assert bldr("explain", "//:upper").out.count("up to date") == 1
    assert bldr("explain", "//...", "--", "-//:again").out.startswith("//:upper ")
    assert "//:again" not in bldr("log", "//...", "--", "-//:again").out
    explained = json.loads(bldr("explain", "--format=json").out)
    assert [part["label"] for part in explained] == ["//:upper", "//:again"]

    log = bldr("log", "//:upper").out
    assert "tr a-z A-Z" in log and log.rstrip().endswith("done it")
    assert "cd /build && env -i " in log
    rows = [line.split() for line in log.splitlines() if line.startswith("# ")]
    assert ["#", "limit", "used", "of", "share", "enforced", "by"] in rows
    by_limit = {row[1]: row for row in rows if len(row) > 5}
    assert {"memory", "cpu", "processes", "file-size", "log"} <= set(by_limit)
    assert by_limit["log"][2:6] == ["8", "B", "256.0", "MiB"]
    entries = json.loads(bldr("log", "--format=json").out)
    assert {use["limit"] for use in entries[0]["limit_uses"]} >= {"memory", "cpu"}
    assert {entry["label"] for entry in entries} == {"//:upper", "//:again"}

    assert bldr("clean") == (0, "", "")
    assert not (demo / "bldr-out" / "again.txt").exists()
    assert "done: 0 ran, 2 cached" in bldr("build").err
    collected = json.loads(bldr("gc", "--max-size=1", "--format=json").out)
    assert collected["results"] == 2
    assert "done: 2 ran, 0 cached" in bldr("build").err
    assert bldr("gc").out.startswith("removed 0 results and ")


@pytest.mark.full
def test_a_failure_is_told_on_standard_error_with_its_log(bldr, workspace):
    bad = BUILDERFILE.replace("echo done it", "echo in.txt:1:2: error: too quiet; exit 3")
    workspace({"Builderfile": bad, "in.txt": "x"})
    done = bldr("build")
    assert (done.code, done.out) == (1, "")
    assert "//:upper" in done.err and "exit code 3" in done.err
    assert "in.txt:1:2: error: too quiet\n" in done.err
    assert "failed: 1 failed, " in done.err


@pytest.mark.full
def test_doctor_says_what_can_be_had_and_its_exit_code_whether_it_is_enough(bldr, cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no workspace is needed
    done = bldr("doctor")
    report = json.loads(bldr("doctor", "--format=json").out)
    assert done.code == (0 if any(sandbox["hermetic"] for sandbox in report["sandboxes"]) else 5)
    assert report["cache"]["directory"] == str(cache)
    plain = next(sandbox for sandbox in report["sandboxes"] if sandbox["name"] == "plain")
    assert not plain["hermetic"]
    assert plain["isolation"]["network"] == "none"
    assert all(shortfall["why"] and shortfall["remedy"] for shortfall in plain["shortfalls"])
    for sandbox in report["sandboxes"]:
        assert f"sandbox {sandbox['name']}: " in done.out
    for toolchain in report["toolchains"]:
        assert f"\n  {toolchain['name']}" in done.out
    assert str(cache) in done.out


def test_the_schema_is_json_schema(bldr):
    schema = json.loads(bldr("schema").out)
    assert "$schema" in schema
    assert "language" in json.dumps(schema)


def test_fetch_names_what_there_is(bldr, demo):
    assert bldr("fetch") == (0, "", "")
    assert bldr("fetch", "lau") == (2, "", 'error: the workspace has no external source "lau"\n')
