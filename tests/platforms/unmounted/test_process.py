"""Limits that the kernel does not take as they are."""

import resource

import pytest

from bldr.api import ResourceLimits


@pytest.fixture
def strict(monkeypatch):
    """A kernel that takes so many open files at most, as macOS does."""
    known = resource.setrlimit

    def setrlimit(kind, limits):
        if kind == resource.RLIMIT_NOFILE and limits[0] > 20000:
            raise ValueError("not allowed to raise maximum limit")
        if kind == resource.RLIMIT_FSIZE:
            raise ValueError("invalid")
        known(kind, limits)

    monkeypatch.setattr(resource, "setrlimit", setrlimit)


def test_a_number_of_files_that_macos_does_not_take_is_the_one_that_it_always_takes(driver, strict):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limits = ResourceLimits(open_files=min(30000, hard))
    driver.python("import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])", resources=limits)
    assert int(driver.output) == (10240 if hard > 20000 else hard)


def test_another_limit_that_is_not_taken_is_a_failure_to_prepare(driver, strict):
    end = driver.run("true", resources=ResourceLimits(file_bytes=1000))
    assert end.failure.message.startswith("cannot prepare the run: ")
    assert end.failure.hint == "take its limits away"
