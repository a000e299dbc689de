"""The programs that actions run: modules of this package, handed over as text. They import nothing of bldr."""

from types import ModuleType
from typing import Any

from bldr_python import compile_sources, pack, run_tests, start


def _text(module: ModuleType) -> str:
    loader: Any = module.__spec__.loader if module.__spec__ else None
    return str(loader.get_source(module.__name__))


COMPILE = _text(compile_sources)
PACK = _text(pack)
RUN_TESTS = _text(run_tests)
START = _text(start)
