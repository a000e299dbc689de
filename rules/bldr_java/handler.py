"""The handler of Java; what analyses a target is imported with the first of them."""

from typing import ClassVar

from bldr.api import Analysis, Context, TargetAttributes
from bldr_java.attributes import JavaExecutableAttributes, JavaLibraryAttributes, JavaTestAttributes


class JavaHandler:
    """Serves libraries, executables and tests of the language "java"."""

    name: ClassVar[str] = "java"
    serves: ClassVar[tuple[tuple[str, str | None], ...]] = tuple(
        (type, "java") for type in ("executable", "library", "test")
    )
    semantics_version: ClassVar[int] = 1

    def attributes(self, type: str) -> type[TargetAttributes]:
        if type == "library":
            return JavaLibraryAttributes
        return JavaTestAttributes if type == "test" else JavaExecutableAttributes

    def analyze(self, attributes: TargetAttributes, context: Context) -> Analysis:
        from bldr_java.analysis import analyze

        return analyze(attributes, context)
