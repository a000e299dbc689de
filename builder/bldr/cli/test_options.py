"""The options that only tests have."""

TYPE_CHECKING = False  # see bldr.cli.main
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from bldr.graph.tests import TestOptions

SIZES = ("small", "medium", "large", "enormous")


def add_test_options(parser: "ArgumentParser") -> None:
    """What `test` and `watch` take besides the options of every build."""
    from bldr.cli.options import positive

    group = parser.add_argument_group("tests")
    group.add_argument("--test-filter", metavar="PATTERN", default="", help="which cases to run, for tests to read")
    group.add_argument("--test-arg", metavar="ARG", action="append", default=[], help="an argument for every test")
    group.add_argument(
        "--test-env",
        metavar="NAME[=VALUE]",
        action="append",
        default=[],
        type=_variable,
        help="a variable of every test",
    )
    group.add_argument(
        "--test-output",
        choices=("summary", "errors", "all", "streamed"),
        default="errors",
        help="whose output to show: of none, of those that failed, of all; or at once, of one test at a time",
    )
    group.add_argument("--runs-per-test", metavar="N", type=positive, default=1, help="run every test N times")
    group.add_argument(
        "--flaky-attempts", metavar="N", type=positive, help="try every test that fails up to N times (flaky ones: 3)"
    )
    group.add_argument(
        "--test-timeout", metavar="TIMES", type=_timeouts, default={}, help="as 90s, or four of them for the four sizes"
    )
    group.add_argument(
        "--test-tag-filters", metavar="TAGS", type=_words, default=(), help="tests with a tag, and with -TAG without it"
    )
    group.add_argument(
        "--test-size-filters",
        metavar="SIZES",
        type=_sizes,
        default=(),
        help="tests of a size, and with -SIZE of no other",
    )
    group.add_argument("--build-tests-only", action="store_true", help="build nothing but what the tests need")
    group.add_argument(
        "--cache-test-results",
        choices=("auto", "yes", "no"),
        default="auto",
        help="whether results that are known will do; auto: unless --runs-per-test asks for more than one",
    )
    group.add_argument(
        "--no-cache-tests", dest="cache_test_results", action="store_const", const="no", help="--cache-test-results=no"
    )
    group.add_argument("--junit", metavar="FILE", help="write the results as JUnit XML")


def make_test_options(arguments: "Namespace") -> "TestOptions":
    """What the command line says of tests, for commands that take no such options, too."""
    from bldr.graph.tests import TestOptions

    if not hasattr(arguments, "runs_per_test"):
        return TestOptions()
    return TestOptions(
        runs=arguments.runs_per_test,
        args=tuple(arguments.test_arg),
        env=dict(pair for pair in arguments.test_env if pair is not None),
        filter=arguments.test_filter,
        attempts=arguments.flaky_attempts,
        alone=arguments.test_output == "streamed",
        timeouts=arguments.test_timeout,
        tags=arguments.test_tag_filters,
        sizes=arguments.test_size_filters,
        build_tests_only=arguments.build_tests_only,
        reuse=arguments.cache_test_results,
    )


def can_be_foretold(arguments: "Namespace") -> bool:
    """Whether a test of which nothing runs prints what the one before it printed, and runs nothing indeed."""
    return (
        not arguments.junit
        and arguments.test_output in ("summary", "errors")
        and arguments.cache_test_results != "no"
        and (arguments.runs_per_test == 1 or arguments.cache_test_results == "yes")
    )


def _variable(text: str) -> tuple[str, str] | None:
    """A name and its value; with a name alone the value that it has here, and None where it has none."""
    import os
    from argparse import ArgumentTypeError

    from bldr.load.settings import check_variables

    name, equals, value = text.partition("=")
    if check_variables({name: value}, []) or "\0" in value:
        raise ArgumentTypeError(f'"{text}" is no name of a variable, nor NAME=VALUE')
    if name == "BLDR_ROOT":
        raise ArgumentTypeError("BLDR_ROOT is set by bldr: it is where the tree stands")
    if equals:
        return name, value
    return (name, os.environ[name]) if name in os.environ else None


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in (part.strip().removeprefix("+") for part in text.split(",")) if word)


def _sizes(text: str) -> tuple[str, ...]:
    from argparse import ArgumentTypeError

    words = _words(text)
    for word in words:
        if word.removeprefix("-") not in SIZES:
            raise ArgumentTypeError(f'"{word}" is no size; the sizes are {", ".join(SIZES)}')
    return words


def _timeouts(text: str) -> dict[str, str | int]:
    """By size; one time is that of every size."""
    from argparse import ArgumentTypeError

    from bldr.cli.options import read_time

    times = [read_time(part.strip()) for part in text.split(",")]
    if len(times) not in (1, len(SIZES)):
        raise ArgumentTypeError(f"write one time, or {len(SIZES)}: of {', '.join(SIZES)}")
    return dict(zip(SIZES, times * len(SIZES) if len(times) == 1 else times, strict=False))
