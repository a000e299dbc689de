"""The handler of Python; what analyses a target is imported with the first of them."""

from typing import ClassVar

from bldr.api import Analysis, Context, TargetAttributes
from bldr_python.attributes import PythonLibraryAttributes, PythonProgramAttributes, PythonTestAttributes


class PythonHandler:
    """Serves libraries, executables and tests of the language "python"."""

    name: ClassVar[str] = "python"
    serves: ClassVar[tuple[tuple[str, str | None], ...]] = tuple(
        (type, "python") for type in ("executable", "library", "test")
    )
    semantics_version: ClassVar[int] = 1

    def attributes(self, type: str) -> type[TargetAttributes]:
        if type == "library":
            return PythonLibraryAttributes
        return PythonTestAttributes if type == "test" else PythonProgramAttributes

    def analyze(self, attributes: TargetAttributes, context: Context) -> Analysis:
        from bldr_python.analysis import analyze

        return analyze(attributes, context)
