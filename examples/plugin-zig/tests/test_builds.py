"""Zig compiled by the compiler from PyPI, in bldr's sandbox."""

import pytest
from bldr.testing import Project


@pytest.fixture
def zig(project: Project, sources) -> Project:
    return project.write(sources)


def test_a_program_imports_a_library_and_runs(zig: Project):
    zig.build("//:hello").assert_built("//:hello").assert_ran("Zig //:hello")
    ran = zig.run_program("hello")
    assert (ran.returncode, ran.stdout) == (0, "hello you\n")
    zig.build("//:hello").assert_cached()


def test_a_program_in_c_links_the_library(zig: Project):
    zig.build("//:from_c").assert_built("//:from_c").assert_ran(
        "Compile //:from_c", "Link //:from_c", "Zig //greet:greet"
    )
    assert zig.run_program("from_c").returncode == 0


def test_a_test_fails_with_what_the_compiler_s_runner_says(zig: Project):
    zig.test("//:greet_test").assert_passed("//:greet_test")
    zig.edit("greet/words.zig", '"hello"', '"goodbye"')
    zig.test("//:greet_test").assert_failed("test", "expected 5, found 7", label="//:greet_test")


def test_what_the_compiler_refuses_is_shown_with_its_place(zig: Project):
    zig.edit("main.zig", "greet.greet(", "greet.missing(").build("//:hello").assert_failed(
        "failed", r"main\.zig:\d+:\d+: error: .*missing", label="//:hello"
    )


def test_a_source_that_is_not_declared_is_not_there(zig: Project):
    zig.edit("greet/Builderfile", '["root.zig", "words.zig"]', '["root.zig"]').build("//:hello").assert_failed(
        "failed", "words.zig", label="//:hello"
    )
