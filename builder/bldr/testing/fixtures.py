"""The fixtures of the kit."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bldr.testing.golden import GoldenKeys, file_name
from bldr.testing.project import Project, copy_cache

_UPDATE = "--bldr-update-golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The one command that brings golden files up to date."""
    group = parser.getgroup("bldr", "testing plugins of bldr")
    group.addoption(
        _UPDATE, action="store_true", help="write the golden files of the tests that run, and compare nothing"
    )


@pytest.fixture(scope="session")
def bldr_warm() -> Mapping[str, str | bytes]:
    """The files of a workspace to build once before the first test; nothing by default. A conftest.py that redefines
    this fixture spares every test the search for large toolchains."""
    return {}


@pytest.fixture(scope="session")
def bldr_warm_cache(tmp_path_factory: pytest.TempPathFactory, bldr_warm: Mapping[str, str | bytes]) -> Path | None:
    """The cache with which every project starts; None: with an empty one."""
    if not bldr_warm:
        return None
    top = tmp_path_factory.mktemp("warm")
    warm = Project(top / "warm", top / "cache").write(bldr_warm)
    warm.build().assert_ok()
    return warm.cache


@pytest.fixture
def project(tmp_path: Path, bldr_warm_cache: Path | None) -> Project:
    """An empty workspace with a cache of its own."""
    cache = tmp_path / "cache"
    copy_cache(bldr_warm_cache, cache)
    return Project(tmp_path / "workspace", cache)


@pytest.fixture
def golden_keys(request: pytest.FixtureRequest) -> GoldenKeys:
    """`golden_keys(project)` compares the keys of its actions with a file beside the test."""
    path = request.path.with_name(file_name(request.path.stem, request.node.name))
    return GoldenKeys(path, request.node.nodeid, update=bool(request.config.getoption(_UPDATE)))
