"""A store in a temporary directory, and its warnings."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bldr.store.store import Store, open_store


@pytest.fixture
def cache_dir(tmp_path: Path) -> str:
    return str(tmp_path / "cache")


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def opened(cache_dir: str, warnings: list[str]) -> Iterator[Callable[[], Store]]:
    """Opens the store as one more process would; all are closed at the end."""
    stores: list[Store] = []

    def another() -> Store:
        stores.append(open_store(cache_dir, lambda message, hint: warnings.append(f"{message}\nhint: {hint}")))
        return stores[-1]

    yield another
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Callable[[], Store]) -> Store:
    return opened()
