"""What holds for every test: those that need root say so where they are skipped, and none leaves its directory."""

import os
import time

import pytest


def pytest_collection_modifyitems(items):
    """Root's tests attack from root's place or need its powers; anywhere else they would prove nothing."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.fixture(autouse=True)
def _stays_where_it_was():
    """A test that goes elsewhere comes back: the next one may find that place gone."""
    before = os.getcwd()
    yield
    where = os.getcwd()
    os.chdir(before)
    assert where == before, f"the test left the process in {where}"


@pytest.fixture
def until():
    """A function that waits for a condition, and fails when it does not come true in two minutes."""

    def wait(condition):
        until_s = time.monotonic() + 120
        while not condition():
            if time.monotonic() > until_s:
                pytest.fail("waited in vain")
            time.sleep(0.02)

    return wait
