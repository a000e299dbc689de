"""From options and environment to the request: what wins over what."""

import pytest

from bldr.api.attributes import HermeticSettings
from bldr.graph.tests import TestOptions


@pytest.mark.parametrize(
    ("words", "variable", "isolation"),
    [
        ([], None, "best"),
        ([], "", "best"),
        ([], "false", "none"),
        ([], "0", "none"),
        ([], "No", "none"),
        ([], "true", "require"),
        ([], "1", "require"),
        (["--hermetic"], "false", "require"),
        (["--no-hermetic"], "true", "none"),
        (["--isolation=best"], "false", "best"),
        (["--isolation", "require"], None, "require"),
        (["--isolation=none"], None, "none"),
    ],
)
def test_isolation_by_command_line_then_environment(bldr, fake, monkeypatch, words, variable, isolation):
    if variable is not None:
        monkeypatch.setenv("BUILDER_HERMETIC", variable)
    assert bldr("build", *words).code == 0
    assert fake.request.isolation == isolation


def test_two_modes_at_once_are_refused(bldr, fake):
    done = bldr("build", "--hermetic", "--no-hermetic")
    assert done.code == 2
    assert "not allowed with" in done.err
    assert fake.made == []


def test_limits_by_command_line_then_environment(bldr, fake, monkeypatch):
    assert bldr("build").code == 0
    assert fake.request.limits == HermeticSettings()
    monkeypatch.setenv("BUILDER_HERMETIC_MEMORY", "512M")
    monkeypatch.setenv("BUILDER_HERMETIC_CPU_TIME", "90")
    monkeypatch.setenv("BUILDER_HERMETIC_PROCESSES", "16")
    assert bldr("build").code == 0
    assert fake.request.limits == HermeticSettings(memory="512M", cpu_time=90, processes=16)
    assert bldr("build", "--memory=1G", "--processes=8", "--cpu-time", "2h", "--timeout=30m").code == 0
    assert fake.request.limits == HermeticSettings(memory="1G", cpu_time="2h", timeout="30m", processes=8)


def test_every_limit_has_an_option_and_a_variable(bldr, fake, monkeypatch):
    words = ["--file-size=1G", "--output-limit=2G", "--disk-limit=3G", "--log-limit=4M", "--temp-limit=5M"]
    words += ["--cpus=1.5", "--open-files=64", "--grace=5s", "--on-violation=kill"]
    assert bldr("build", *words).code == 0
    asked = HermeticSettings(
        file_size="1G", output="2G", disk="3G", log="4M", temp="5M", cpus=1.5, open_files=64, grace="5s",
        on_violation="kill",
    )  # fmt: skip
    assert fake.request.limits == asked
    for name in asked.__struct_fields__:
        if getattr(asked, name) is not None:
            monkeypatch.setenv(f"BUILDER_HERMETIC_{name.upper()}", str(getattr(asked, name)))
    assert bldr("build").code == 0
    assert fake.request.limits == asked


@pytest.mark.parametrize(
    ("variable", "value", "hint"),
    [
        ("BUILDER_HERMETIC", "maybe", "it must be true or false"),
        ("BUILDER_HERMETIC_MEMORY", "lots", "it must be a size as 512M"),
        ("BUILDER_HERMETIC_CPU_TIME", "-3", "it must be a time as 30m"),
        ("BUILDER_HERMETIC_PROCESSES", "0", "it must be a number above 0"),
        ("BUILDER_HERMETIC_CPUS", "nan", "it must be a number above 0"),
        ("BUILDER_HERMETIC_ON_VIOLATION", "die", "it must be deny or kill"),
    ],
)
def test_a_variable_that_makes_no_sense_is_an_error_not_a_default(bldr, fake, monkeypatch, variable, value, hint):
    monkeypatch.setenv(variable, value)
    assert bldr("build") == (2, "", f'error: the environment variable {variable} is "{value}"\nhint: {hint}\n')


@pytest.mark.parametrize("words", [["-j0"], ["-j", "many"], ["--memory", "0"], ["--timeout=soon"], ["--processes=-1"]])
def test_an_option_that_makes_no_sense_is_a_usage_error(bldr, fake, words):
    done = bldr("build", *words)
    assert done.code == 2
    assert f"argument {words[0][:2] if words[0].startswith('-j') else words[0].partition('=')[0]}" in done.err


def test_an_option_is_never_guessed_from_its_beginning(bldr, fake):
    assert bldr("build", "--herm").code == 2


def test_the_rest_of_the_request(bldr, fake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert bldr("build", "//a", "-k", "-j3", "--offline", "--cache-dir", "c", "--", "-//a:b").code == 0
    request = fake.request
    assert (request.command, request.patterns, request.directory) == ("build", ("//a", "-//a:b"), str(tmp_path))
    assert (request.cache_dir, request.jobs, request.keep_going, request.offline) == ("c", 3, True, True)
    assert request.tests == TestOptions()


def test_what_the_command_line_says_of_tests(bldr, fake, monkeypatch):
    monkeypatch.setenv("HERE", "h")
    monkeypatch.delenv("NOWHERE", raising=False)
    words = [
        "--runs-per-test=4", "--test-output=streamed", "--no-cache-tests", "--test-arg=-x", "--test-filter=a*",
        "--test-env=A=1=2", "--test-env=HERE", "--test-env=NOWHERE", "--flaky-attempts=5", "--build-tests-only",
        "--test-timeout=1m,2m,3m,500ms", "--test-tag-filters=fast,-slow", "--test-size-filters=-enormous",
    ]  # fmt: skip
    assert bldr("test", *words).code == 0
    assert fake.request.tests == TestOptions(
        runs=4, alone=True, reuse="no", args=("-x",), filter="a*", env={"A": "1=2", "HERE": "h"}, attempts=5,
        timeouts={"small": "1m", "medium": "2m", "large": "3m", "enormous": "500ms"}, tags=("fast", "-slow"),
        sizes=("-enormous",), build_tests_only=True,
    )  # fmt: skip
    assert bldr("test", "--test-timeout=90").code == 0
    assert set(fake.request.tests.timeouts.values()) == {90}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--test-timeout=1s,2s", "write one time, or 4: of small, medium, large, enormous"),
        ("--test-timeout=soon", '"soon" is not a duration'),
        ("--test-size-filters=tiny", '"tiny" is no size'),
        ("--test-env=1=2", '"1=2" is no name of a variable'),
        ("--test-env=BLDR_ROOT=x", "BLDR_ROOT is set by bldr"),
        ("--flaky-attempts=0", '"0" is not a number above 0'),
        ("--test-output=none", "invalid choice: 'none'"),
    ],
)
def test_what_makes_no_sense_of_tests_is_refused(bldr, fake, word, message):
    done = bldr("test", word)
    assert done.code == 2
    assert message in done.err


def test_the_cache_directory_of_the_environment_counts_where_no_option_does(bldr, fake, cache):
    assert bldr("build").code == 0
    assert fake.request.cache_dir == str(cache)
