"""The handler of shell scripts; what analyses a target is imported with the first of them."""

from typing import ClassVar

from bldr.api import Analysis, Context, TargetAttributes
from bldr_shell.attributes import ShellAttributes, ShellTestAttributes


class ShellHandler:
    """Serves libraries, executables and tests of the language "shell"."""

    name: ClassVar[str] = "shell"
    serves: ClassVar[tuple[tuple[str, str | None], ...]] = tuple(
        (type, "shell") for type in ("executable", "library", "test")
    )
    semantics_version: ClassVar[int] = 1

    def attributes(self, type: str) -> type[TargetAttributes]:
        return ShellTestAttributes if type == "test" else ShellAttributes

    def analyze(self, attributes: TargetAttributes, context: Context) -> Analysis:
        from bldr_shell.analysis import analyze

        return analyze(attributes, context)
