"""The handler of C and C++; what analyses a target is imported with the first of them."""

from typing import ClassVar

from bldr.api import Analysis, Context, TargetAttributes
from bldr_cc.attributes import CcAttributes, CcLibraryAttributes, CcTestAttributes

LANGUAGES = ("c", "c++")


class CcHandler:
    """Serves executables, libraries and tests of the languages "c" and "c++"."""

    name: ClassVar[str] = "cc"
    serves: ClassVar[tuple[tuple[str, str | None], ...]] = tuple(
        (type, language) for type in ("executable", "library", "test") for language in LANGUAGES
    )
    semantics_version: ClassVar[int] = 1

    def attributes(self, type: str) -> type[TargetAttributes]:
        if type == "library":
            return CcLibraryAttributes
        return CcTestAttributes if type == "test" else CcAttributes

    def analyze(self, attributes: TargetAttributes, context: Context) -> Analysis:
        from bldr_cc.analysis import analyze

        return analyze(attributes, context)
