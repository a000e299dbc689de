"""The same boxes and attacks as in the directory above, with the weaker sandbox."""

import pytest

from bldr_linux.confined.sandbox import LandlockSandbox


@pytest.fixture(scope="session")
def sandbox():
    platform = LandlockSandbox()
    probe = platform.probe()
    if not probe.supported:
        pytest.skip(f"no Landlock here: {probe.shortfalls[0].why}")
    return platform
