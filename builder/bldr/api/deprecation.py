"""Names that the API is about to give up: they work for a while, and say by what to replace them."""

import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple


class ApiDeprecationWarning(FutureWarning):
    """A plugin uses a name that `bldr.api` will not have for ever."""


class Deprecated(NamedTuple):
    """`target` is where the value is now ("bldr.api.handlers:Context"), `replacement` what to write instead.

    `since` is the version of the API that deprecated the name, `until` the one that takes it away.
    """

    target: str
    replacement: str
    since: str
    until: str


DEPRECATED: Mapping[str, Deprecated] = {}
"""The deprecated names of `bldr.api`. None of them is in its `__all__`."""


def look_up(name: str) -> Any:
    """The value of a deprecated name, with a warning to whoever asks. Raises AttributeError for any other."""
    entry = DEPRECATED.get(name)
    if entry is None:
        raise AttributeError(f"module 'bldr.api' has no attribute {name!r}", name=name)
    life = f"is deprecated since API {entry.since} and goes with API {entry.until}"
    message = f"bldr.api.{name} {life}: use {entry.replacement}"
    warnings.warn(message, ApiDeprecationWarning, stacklevel=3)
    module, _, attribute = entry.target.partition(":")
    return getattr(import_module(module), attribute)


def misfit(wanted: Any, present: str) -> str:
    """Why a plugin that was written for API `wanted` cannot be used with API `present`; "" where it can.

    The first part must be the same, because only there something is taken away; the second may be older.
    """
    parts = wanted.split(".") if isinstance(wanted, str) else []
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        return f'its bldr_api is {wanted!r:.40}: it must be the version of the API it was written for, as "{present}"'
    asked, given = tuple(map(int, parts)), tuple(map(int, present.split(".")))
    if asked[0] == given[0] and asked[1] <= given[1]:
        return ""
    newer = "bldr" if asked > given else "plugin"
    return f"it was written for API {wanted}, and this bldr has API {present}: install a newer {newer}"
