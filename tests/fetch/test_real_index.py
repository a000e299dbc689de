"""The sdist of the example, from whatever index this machine's pip is configured for."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from bldr.fetch import fetch, verify

pytestmark = pytest.mark.full


@pytest.fixture
def real_index() -> None:
    """Tells the environment's fixture to leave pip's configuration alone."""


def test_lua_as_lupa_carries_it(real_index: None, tmp_path: Path) -> None:
    source = SimpleNamespace(
        name="lua",
        sha256="d8022641b9ec8ecf2c5ecbe9f47e5a70e0b87c4b5ae921b92cb02a638e0acd08",
        url=None,
        pypi="lupa==2.8",
        strip_prefix="lupa-2.8/third-party/lua54",
    )
    tree = Path(fetch(source, str(tmp_path), builderfile_root="/"))
    assert {"lapi.c", "lua.h", "lua.c", "testes"} <= {path.name for path in tree.iterdir()}
    assert verify(source, str(tmp_path)) == []
    assert fetch(source, str(tmp_path), builderfile_root="/", offline=True) == str(tree)
