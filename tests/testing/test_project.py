"""A project and its outcomes: what they say of builds that work, and of every kind of failure."""

import pytest

from bldr.testing import Project

FILES = {
    "Builderfile": """
        [target.upper]
        type = "command"
        sources = ["words.txt"]
        outputs = ["upper.txt"]
        command = "tr a-z A-Z < words.txt > upper.txt"

        [target.both]
        type = "command"
        sources = [":upper", "more.txt"]
        outputs = ["both/all.txt", "both/count.txt"]
        command = "cat upper.txt more.txt > both/all.txt; wc -l < both/all.txt > both/count.txt"

        [target.check]
        type = "test"
        sources = [":both"]
        command = "echo looking; grep -q WORDS both/all.txt"
    """,
    "words.txt": "two words\n",
    "more.txt": "more\n",
}


def told(call, *words, **named):
    with pytest.raises(AssertionError) as raised:
        call(*words, **named)
    return str(raised.value)


def test_what_ran_what_was_cached_and_what_came_of_it(project: Project):
    first = project.write(FILES).build()
    assert first.assert_built("//:upper", "//:both").ran == ("Command //:both", "Command //:upper")
    assert first.output_of("//:upper") == "TWO WORDS\n"
    assert first.output_of("//:both", "count.txt").strip() == "2"
    assert project.read("bldr-out/both/all.txt") == "TWO WORDS\nmore\n"
    project.build("//:both").assert_cached().assert_cached("//:upper", "Command //:both")
    project.edit("more.txt", "more", "less").build().assert_ran("Command //:both").assert_cached("//:upper")
    project.edit("words.txt", "two", "ten").build().assert_ran("//:both", "//:upper")
    project.test().assert_passed("//:check")
    assert project.explain("//:upper")["Command //:upper"][0].startswith("up to date")
    project.edit("words.txt", "ten", "six")
    assert project.explain("//:upper") == {"Command //:upper": ("must run: words.txt changed",)}


def test_a_wrong_expectation_is_told_with_the_whole_story(project: Project):
    built = project.write(FILES).build("//:upper")
    complaint = told(built.assert_ran, "Command //:both")
    assert complaint.startswith(
        "expected to run, and nothing else: Command //:both\n$ bldr build //:upper\nexit code 0\n"
    )
    assert "\nran: Command //:upper\n" in complaint
    assert "expected from the cache: //:upper" in told(built.assert_cached, "//:upper")
    assert "expected everything from the cache" in told(built.assert_cached)
    assert "expected to be built: //:both" in told(built.assert_built, "//:both")
    assert "expected a failure\n" in told(built.assert_failed, "failed")
    assert "expected to pass: a test" in told(built.assert_passed)
    assert "expected one output of //:both, which has: none" in told(built.output_of, "//:both")


def test_failures_are_known_by_their_tags(project: Project):
    project.write(FILES)
    project.edit("Builderfile", "tr a-z A-Z <", "echo no such tool >&2; exit 3;")
    failed = project.build("//:upper").assert_failed("failed", "no such tool", label="//:upper")
    assert failed.failed == ("Command //:upper",)
    assert "told was:\n    failed //:upper: " in told(failed.assert_failed, "failed", "never said")
    assert "told was:" in told(failed.assert_failed, "violated")
    with pytest.raises(ValueError, match='there is no tag "odd": they are failed, violated'):
        failed.assert_failed("odd")

    project.write(FILES).edit("Builderfile", "> upper.txt", "> elsewhere.txt")
    project.build("//:upper").assert_failed("violated", "upper.txt")
    project.write(FILES).edit("words.txt", "words", "verbs").test().assert_failed("test", "failed(.|\n)*looking")
    assert project.test().tests == {"//:check": "failed"}
    project.write("Builderfile", '[target.a]\ntype = "odd"\n')
    project.build().assert_failed("error", 'Builderfile:.*unknown type "odd"')
    project.bldr("build", "--jobs", "none").assert_failed("error", "not a number above 0")
    project.bldr("query", "deps(").assert_failed("error")


def test_a_test_is_as_good_as_its_worst_shard_and_its_last_attempt(project: Project, tmp_path):
    tried = tmp_path / "tried"
    project.write(
        "Builderfile",
        f"""
        [target.shared]
        type = "test"
        shard_count = 2
        command = 'touch "$TEST_SHARD_STATUS_FILE"; echo "share $TEST_SHARD_INDEX"; test "$TEST_SHARD_INDEX" = 1'

        [target.late]
        type = "test"
        flaky = true
        command = 'test -e {tried} || {{ touch {tried}; echo not yet; exit 1; }}'
        [target.late.hermetic]
        enabled = false

        [target.made]
        type = "command"
        outputs = ["made"]
        command = "exit 1"

        [target.needy]
        type = "test"
        sources = [":made"]
        command = "true"
        """,
    )
    late = project.test("//:late").assert_passed("//:late").assert_passed()
    assert (late.tests, late.failures) == ({"//:late": "flaky"}, ())
    ran = project.test("--keep-going").assert_failed("test", "share 0", label="//:shared")
    assert ran.tests == {"//:late": "passed", "//:needy": "not_built", "//:shared": "failed"}
    assert "share 1" not in "".join(failure.text for failure in ran.failures)


def test_the_environment_of_the_test_does_not_leak(tmp_path, monkeypatch):
    monkeypatch.setenv("BUILDER_HERMETIC", "nonsense")
    monkeypatch.setenv("BLDR_CACHE_DIR", "/proc/nonsense")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    project = Project(tmp_path / "workspace", tmp_path / "cache").write("Builderfile", FILES["Builderfile"])
    project.write({"words.txt": "a\n", "more.txt": b"b\n"}).build().assert_ok()
    assert project.read("Builderfile").startswith('[workspace]\nname = "workspace"\n\n[target.upper]\n')


def test_writing_and_editing_refuse_what_makes_no_sense(project: Project):
    with pytest.raises(TypeError, match="what is to be written"):
        project.write("a.txt")
    project.write("a.txt", "one one\n")
    with pytest.raises(ValueError, match="holds 'one' 2 times"):
        project.edit("a.txt", "one", "two")
