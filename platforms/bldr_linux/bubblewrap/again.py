"""How to start the stand-in once more, in an interpreter that loads nothing else."""

from __future__ import annotations

import os
import sys

_ENTRY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")


def argv(called: str, words: list[bytes]) -> list[bytes]:
    """The arguments for the interpreter; `called` is the name under which messages appear."""
    return [os.fsencode(word) for word in (sys.executable, "-I", "-S", _ENTRY, called)] + words
