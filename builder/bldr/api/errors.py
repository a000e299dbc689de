"""Errors that people see: each says what is wrong, where, and what to do about it."""

from typing import NamedTuple


class ExitCode:
    """What the process `bldr` returns; the numbers are part of the command line's contract."""

    OK = 0
    BUILD_FAILED = 1
    USAGE = 2
    TESTS_FAILED = 3
    NO_TESTS = 4
    ISOLATION = 5
    CACHE = 6
    INTERRUPTED = 8
    BUG = 70


class BldrError(Exception):
    """Base of every error that is a person's to mend.

    `message` is one lower-case sentence without a full stop, `hint` the remedy ("" where none is known) and
    `exit_code` what the process returns when nothing handles the error.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class Problem(NamedTuple):
    """One mistake at one place. Lines and columns count from 1; 0 where the place in the file is not known."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else f"{self.file}: " if self.file else ""
        hint = f"\nhint: {self.hint}" if self.hint else ""
        return f"{place}{self.message}{hint}"


class WorkspaceError(BldrError):
    """Mistakes in Builderfiles, all that were found, in the order of files and lines."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class TargetError(BldrError):
    """A handler refuses a target: raised by `Context.fail`, reported at the line of the target's table."""


class ToolchainError(BldrError):
    """A toolchain is not on this machine, or is not usable; the hint says what to install."""

    exit_code = ExitCode.BUILD_FAILED


class SpecError(BldrError):
    """A sandbox specification contradicts itself; the message names the offending pair."""


class IsolationError(BldrError):
    """The isolation that was asked for cannot be reached on this machine."""

    exit_code = ExitCode.ISOLATION


class CacheError(BldrError):
    """The store cannot be read or written (full disk, permissions, damage that could not be worked around)."""

    exit_code = ExitCode.CACHE


class FetchError(BldrError):
    """An external source could not be brought, or is not what the Builderfile pins."""

    exit_code = ExitCode.BUILD_FAILED


class PluginError(BldrError):
    """A plugin cannot be loaded or broke its contract; the message names its distribution."""
