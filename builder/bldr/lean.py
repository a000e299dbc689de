"""Imports msgspec without typing_extensions, which takes as long to import as all of msgspec, and inspect with it.

msgspec asks it for three names that typing has had since Python 3.11, and is content without it.
"""

import sys

_NOT_NEEDED = "typing_extensions"


def import_msgspec() -> None:
    """To be called before anything that may import msgspec; afterwards the other one can be imported as ever."""
    if _NOT_NEEDED in sys.modules or "msgspec" in sys.modules:
        return
    sys.modules[_NOT_NEEDED] = None  # type: ignore[assignment]  # so its import fails, as where it is not installed
    try:
        import msgspec  # noqa: F401
    finally:
        del sys.modules[_NOT_NEEDED]
