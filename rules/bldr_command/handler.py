"""The handler of commands; what analyses one is imported with the first of them."""

from typing import ClassVar

from bldr.api import Analysis, Context, TargetAttributes
from bldr_command.attributes import CommandAttributes, CommandTestAttributes, SuiteAttributes


class CommandHandler:
    """Serves `type = "command"`, `type = "test"` where the test has no language, and `type = "suite"`."""

    name: ClassVar[str] = "command"
    serves: ClassVar[tuple[tuple[str, str | None], ...]] = (("command", None), ("test", None), ("suite", None))
    semantics_version: ClassVar[int] = 1

    def attributes(self, type: str) -> type[TargetAttributes]:
        if type == "suite":
            return SuiteAttributes
        return CommandTestAttributes if type == "test" else CommandAttributes

    def analyze(self, attributes: TargetAttributes, context: Context) -> Analysis:
        from bldr_command.analysis import analyze

        return analyze(attributes, context)
