"""Tests as users of Bazel know them: cached, sized, timed out, repeated, reported."""

import xml.etree.ElementTree as ElementTree


def c_test(body, **attributes):
    lines = "".join(f"{name} = {value}\n" for name, value in attributes.items())
    return {
        "Builderfile": f'[target.unit]\ntype = "test"\nlanguage = "c"\nsources = ["unit.c"]\n{lines}',
        "unit.c": "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n" + body,
    }


def test_a_passing_test_is_cached(project):
    it = project(c_test("int main(void) { return 0; }\n"))
    first = it.bldr("test", "--hermetic", "//...")
    assert first.exit_code == 0, first
    assert first.of("test_finished")[0]["status"] == "passed"
    second = it.bldr("test", "--hermetic", "//...")
    assert second.ran == [] and second.of("test_finished")[0]["cached"]
    third = it.bldr("test", "--hermetic", "--no-cache-tests", "//...")
    assert third.ran == ["Test //:unit"]


def test_a_failing_test_shows_its_output_and_runs_again(project):
    it = project(c_test('int main(void) { puts("expected 4, got 5"); return 1; }\n'))
    for _ in range(2):
        failed = it.bldr("test", "--hermetic", "//...")
        assert failed.exit_code == 3, failed
        assert "expected 4, got 5" in failed.stderr + failed.stdout
        assert "Test //:unit" in failed.ran


def test_a_hanging_test_times_out(project):
    it = project(c_test("int main(void) { for (;;) sleep(1); }\n", timeout='"1s"'))
    failed = it.bldr("test", "--hermetic", "//...")
    assert failed.exit_code == 3
    assert failed.of("test_finished")[0]["status"] == "timeout"


def test_a_test_that_does_not_compile_is_not_run(project):
    it = project(c_test("int main(void) { return missing; }\n"))
    failed = it.bldr("test", "--hermetic", "//...")
    assert failed.exit_code == 1
    assert failed.of("test_finished")[0]["status"] == "not_run"
    assert failed.stdout == "//:unit FAILED TO BUILD\n"


def test_runs_per_test(project):
    it = project(c_test('int main(void) { return getenv("TEST_RUN_NUMBER") == NULL; }\n'))
    repeated = it.bldr("test", "--hermetic", "--runs-per-test", "3", "//...")
    assert repeated.exit_code == 0, repeated
    assert [event["run"] for event in repeated.of("test_finished")] == [1, 2, 3]
    assert repeated.ran.count("Test //:unit") == 3


def test_data_args_and_scratch(project):
    body = """
    int main(int argc, char **argv) {
        char path[256], line[64] = "";
        FILE *data = fopen("data/table.txt", "r");
        snprintf(path, sizeof path, "%s/scratch", getenv("TEST_TMPDIR"));
        FILE *scratch = fopen(path, "w");
        return !(argc == 2 && argv[1][0] == 'x' && data && fgets(line, 64, data) && line[0] == '7' && scratch);
    }
    """
    it = project(c_test(body, data='["data/table.txt"]', args='["x"]') | {"data/table.txt": "7\n"})
    passed = it.bldr("test", "--hermetic", "//...")
    assert passed.exit_code == 0, passed


def test_junit_counts_what_happened(project, tmp_path):
    it = project(c_test("int main(void) { return 1; }\n"))
    it.write({"more/Builderfile": '[target.ok]\ntype = "test"\nlanguage = "c"\nsources = ["ok.c"]\n'})
    it.write({"more/ok.c": "int main(void) { return 0; }\n"})
    report = tmp_path / "junit.xml"
    assert it.bldr("test", "--hermetic", "--junit", str(report), "//...").exit_code == 3
    suites = ElementTree.parse(report).getroot()
    cases = list(suites.iter("testcase"))
    assert len(cases) == 2
    assert len(list(suites.iter("failure"))) == 1


def test_a_failing_test_does_not_stop_the_others(project):
    files = {"Builderfile": ""}
    for name, code in (("a", 1), ("b", 0), ("c", 0)):
        files["Builderfile"] += f'[target.{name}]\ntype = "test"\nlanguage = "c"\nsources = ["{name}.c"]\n'
        files[f"{name}.c"] = f"int main(void) {{ return {code}; }}\n"
    tested = project(files).bldr("test", "--hermetic", "-j1", "//...")
    assert tested.exit_code == 3
    assert sorted(event["status"] for event in tested.of("test_finished")) == ["failed", "passed", "passed"]


def test_no_tests_is_an_exit_code_of_its_own(c_project):
    assert c_project.bldr("test", "--hermetic", "//...").exit_code == 4


def test_run_gives_the_programs_exit_code_and_arguments(project):
    it = project(
        {
            "Builderfile": '[target.app]\ntype = "executable"\nlanguage = "c"\nsources = ["app.c"]\n',
            "app.c": "#include <stdio.h>\nint main(int c, char **v) { puts(v[c - 1]); return 40 + c; }\n",
        }
    )
    ran = it.bldr("run", "--hermetic", "//:app", "--", "--one", "two")
    assert (ran.exit_code, ran.stdout) == (43, "two\n"), ran


def test_the_report_of_a_failing_test_is_kept(project, tmp_path):
    body = """
    int main(void) {
        FILE *report = fopen(getenv("XML_OUTPUT_FILE"), "w");
        fputs("<testsuite name='own'><testcase name='sums'><failure message='off by one'/>"
              "</testcase></testsuite>", report);
        fclose(report);
        return 1;
    }
    """
    it = project(c_test(body))
    junit = tmp_path / "junit.xml"
    assert it.bldr("test", "--hermetic", "--junit", str(junit), "//...").exit_code == 3
    assert it.out("unit.test/test.xml").exists()
    assert "off by one" in junit.read_text()


def command_test(name, command, **attributes):
    lines = "".join(f"{key} = {value}\n" for key, value in attributes.items())
    return f"[target.{name}]\ntype = \"test\"\n{lines}command = '''{command}'''\n"


def test_what_the_command_line_says_reaches_the_test_and_counts(project):
    command = 'echo "${TESTBRIDGE_TEST_ONLY-} $A $1 $TEST_SIZE $TEST_TIMEOUT"'
    it = project({"Builderfile": command_test("t", command, size='"small"', env='{ A = "target" }')})

    def told(*words):
        ran = it.bldr("test", "--hermetic", *words)
        assert ran.exit_code == 0, ran
        return it.read("bldr-out/t.test/test.log"), len(ran.ran)

    assert told("--test-arg=x") == (" target x small 60\n", 1)
    words = ("--test-filter=a*", "--test-env=A=mine", "--test-arg=y", "--test-timeout=90s")
    assert told(*words) == ("a* mine y small 90\n", 1)
    assert told(*words) == ("a* mine y small 90\n", 0)


def test_filters_choose_among_tests(project):
    files = {
        "Builderfile": command_test("fast", "true", tags='["quick"]', size='"small"')
        + command_test("gpu", "true", tags='["quick", "gpu"]')
        + command_test("big", "true", size='"large"')
        + command_test("by_hand", "true", tags='["manual"]')
        + '[target.made]\ntype = "command"\noutputs = ["made.txt"]\ncommand = "echo > $OUT"\n'
    }
    it = project(files)

    def run(*words):
        ran = it.bldr("test", "--hermetic", *words)
        return sorted(event["label"][3:] for event in ran.of("test_summary")), ran.exit_code

    assert run() == (["big", "fast", "gpu"], 0)
    assert run("--test-tag-filters=quick,-gpu") == (["fast"], 0)
    assert run("--test-size-filters=-large,-small") == (["gpu"], 0)
    assert run("//:by_hand") == (["by_hand"], 0)
    it.out("made.txt").unlink()
    assert run("--build-tests-only", "--test-tag-filters=none") == ([], 4)
    assert not it.out("made.txt").exists()


def test_a_test_of_the_outside_always_runs(project):
    it = project({"Builderfile": command_test("t", "echo hi", tags='["external"]')})
    for _ in range(3):
        assert it.bldr("test", "--hermetic").ran == ["Test //:t"]
    assert it.bldr("test", "--hermetic", "--cache-test-results=yes").ran == ["Test //:t"]


def test_the_time_of_a_test_is_not_that_of_its_compiler(project):
    it = project(c_test("int main(void) { return 0; }\n", timeout='"1s"'))
    it.write({"Builderfile": it.read("Builderfile") + '\n[hermetic]\ntimeout = "1h"\n'})
    ran = it.bldr("test", "--hermetic")
    limits = {event["mnemonic"]: event["limits"].get("wall_time_s") for event in ran.of("action_finished")}
    assert limits.pop("Test") == 1.0
    assert set(limits.values()) == {3600.0}, ran


def test_a_suite_stands_for_its_tests(project):
    it = project(
        {
            "Builderfile": command_test("one", "true", tags='["manual"]')
            + command_test("two", "true")
            + '[target.inner]\ntype = "suite"\ntests = [":two"]\n'
            + '[target.smoke]\ntype = "suite"\ntests = [":one", ":inner"]\n'
        }
    )
    ran = it.bldr("test", "--hermetic", "//:smoke")
    assert ran.exit_code == 0, ran
    assert ran.ran == ["Test //:one", "Test //:two"]
    assert it.bldr("query", "tests(//:smoke)").stdout == "//:one\n//:two\n"
    it.write({"Builderfile": it.read("Builderfile") + '[target.odd]\ntype = "suite"\ntests = [":made"]\n'})
    it.write(
        {"Builderfile": it.read("Builderfile") + '[target.made]\ntype = "command"\noutputs = ["x"]\ncommand = ""\n'}
    )
    refused = it.bldr("test", "//:odd")
    assert refused.exit_code == 2
    assert 'the suite "//:odd" names "//:made", which is no test' in refused.stderr
