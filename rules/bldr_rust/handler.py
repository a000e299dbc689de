"""The handler of Rust; what analyses a target is imported with the first of them."""

from typing import ClassVar

from bldr.api import Analysis, Context, TargetAttributes
from bldr_rust.attributes import RustAttributes, RustLibraryAttributes, RustTestAttributes


class RustHandler:
    """Serves executables, libraries and tests of the language "rust"."""

    name: ClassVar[str] = "rust"
    serves: ClassVar[tuple[tuple[str, str | None], ...]] = (
        ("executable", "rust"),
        ("library", "rust"),
        ("test", "rust"),
    )
    semantics_version: ClassVar[int] = 1

    def attributes(self, type: str) -> type[TargetAttributes]:
        if type == "library":
            return RustLibraryAttributes
        return RustTestAttributes if type == "test" else RustAttributes

    def analyze(self, attributes: TargetAttributes, context: Context) -> Analysis:
        from bldr_rust.analysis import analyze

        return analyze(attributes, context)
