"""The programs that actions run: modules of this package, handed over as text. They import nothing of bldr.

They are not imported here either: what they need (unittest, zipfile) no build does.
"""

import os


def _text(name: str) -> str:
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
        return file.read()


COMPILE = _text("compile_sources.py")
PACK = _text("pack.py")
RUN_TESTS = _text("run_tests.py")
START = _text("start.py")
