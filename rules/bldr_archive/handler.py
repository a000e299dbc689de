"""The handler of archives; what analyses one is imported with the first of them."""

from typing import ClassVar

from bldr.api import Analysis, Context, TargetAttributes
from bldr_archive.attributes import ArchiveAttributes


class ArchiveHandler:
    """Serves `type = "archive"`."""

    name: ClassVar[str] = "archive"
    serves: ClassVar[tuple[tuple[str, str | None], ...]] = (("archive", None),)
    semantics_version: ClassVar[int] = 1

    def attributes(self, type: str) -> type[TargetAttributes]:
        assert type == "archive"
        return ArchiveAttributes

    def analyze(self, attributes: TargetAttributes, context: Context) -> Analysis:
        from bldr_archive.analysis import analyze

        return analyze(attributes, context)
