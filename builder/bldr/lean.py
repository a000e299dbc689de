"""Imports msgspec without what it asks for and does not need, which takes as long to import as all of msgspec.

It asks typing_extensions (and, by it, inspect) for three names that typing has had since Python 3.11, and is content
without it. It has to know uuid, which imports platform, a dozen regular expressions, to ask for the name of the system.
"""

import os
import sys

TYPE_CHECKING = False  # as in bldr.cli.main
if TYPE_CHECKING:
    from typing import Any


class _System:
    """What uuid asks of platform, once; its own name `platform` goes on meaning this."""

    @staticmethod
    def system() -> str:
        return os.uname().sysname


_INSTEAD: "dict[str, Any]" = {"typing_extensions": None}  # so that its import fails, as where it is not installed
if hasattr(os, "uname"):
    _INSTEAD["platform"] = _System


def import_msgspec() -> None:
    """To be called before anything that may import msgspec; afterwards the others can be imported as ever."""
    if "msgspec" in sys.modules:
        return
    instead = {name: module for name, module in _INSTEAD.items() if name not in sys.modules}
    sys.modules.update(instead)
    try:
        import msgspec  # noqa: F401
    finally:
        for name in instead:
            del sys.modules[name]
