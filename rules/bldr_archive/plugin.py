"""What this plugin offers: the handler of archives. They are written with the toolchain "python"."""

from collections.abc import Iterable

from bldr.api import Handler, hook
from bldr_archive.handler import ArchiveHandler


@hook
def bldr_handlers() -> Iterable[type[Handler]]:
    return [ArchiveHandler]
