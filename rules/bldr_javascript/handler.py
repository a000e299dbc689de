"""The handler of JavaScript and TypeScript; what analyses a target is imported with the first of them."""

from typing import ClassVar

from bldr.api import Analysis, Context, TargetAttributes
from bldr_javascript.attributes import ModuleAttributes, ModuleTestAttributes, ProgramAttributes

LANGUAGES = ("javascript", "typescript")


class JavaScriptHandler:
    """Serves libraries, executables and tests of the languages "javascript" and "typescript"."""

    name: ClassVar[str] = "javascript"
    serves: ClassVar[tuple[tuple[str, str | None], ...]] = tuple(
        (type, language) for type in ("executable", "library", "test") for language in LANGUAGES
    )
    semantics_version: ClassVar[int] = 1

    def attributes(self, type: str) -> type[TargetAttributes]:
        if type == "library":
            return ModuleAttributes
        return ModuleTestAttributes if type == "test" else ProgramAttributes

    def analyze(self, attributes: TargetAttributes, context: Context) -> Analysis:
        from bldr_javascript.analysis import analyze

        return analyze(attributes, context)
