"""What this plugin offers."""

from collections.abc import Iterable

from bldr.api import Handler, hook


@hook
def bldr_handlers() -> Iterable[type[Handler]]:
    return []
