"""The fixtures of the kit."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from bldr.testing.project import Project


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
    if bldr_warm_cache is not None:
        copy_cache(bldr_warm_cache, cache)
    return Project(tmp_path / "workspace", cache)


def copy_cache(cache: Path, destination: Path) -> None:
    """A copy with the hard links of its own that a cache has between blobs and staged toolchains."""
    subprocess.run(["cp", "-a", str(cache), str(destination)], check=True)
