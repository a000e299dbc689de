"""The handler of Go; what analyses a target is imported with the first of them."""

from typing import ClassVar

from bldr.api import Analysis, Context, TargetAttributes
from bldr_go.attributes import GoAttributes, GoStdAttributes, GoTestAttributes


class GoHandler:
    """Serves executables, libraries, tests and the standard library of the language "go"."""

    name: ClassVar[str] = "go"
    serves: ClassVar[tuple[tuple[str, str | None], ...]] = (
        ("executable", "go"),
        ("library", "go"),
        ("stdlib", "go"),
        ("test", "go"),
    )
    semantics_version: ClassVar[int] = 1

    def attributes(self, type: str) -> type[TargetAttributes]:
        if type == "stdlib":
            return GoStdAttributes
        return GoTestAttributes if type == "test" else GoAttributes

    def analyze(self, attributes: TargetAttributes, context: Context) -> Analysis:
        from bldr_go.analysis import analyze

        return analyze(attributes, context)
