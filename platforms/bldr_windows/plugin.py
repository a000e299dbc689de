"""The plugin `windows`: a platform for Windows, which says elsewhere that it is not supported."""

from collections.abc import Iterable

from bldr.api import Sandbox, hook
from bldr_windows.sandbox import WindowsSandbox


@hook
def bldr_sandboxes() -> Iterable[type[Sandbox]]:
    return (WindowsSandbox,)
