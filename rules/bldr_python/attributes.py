"""What targets of Python may say."""

from typing import Literal

from bldr.api import TargetAttributes, TestAttributes


class PythonLibraryAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Modules for others. `imports` names the directories of the package that belong on the module search path.

    `check` says that a source that is no Python fails the target. `requires` is the Python that native modules among
    the files are made for ("3.11"); "" is any.
    """

    imports: tuple[str, ...] = (".",)
    check: bool = True
    requires: str = ""


class PythonProgramAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program in one file. It runs `main`, one of the sources, or calls `entry_point` ("package.module:function")."""

    imports: tuple[str, ...] = (".",)
    main: str = ""
    entry_point: str = ""


class PythonTestAttributes(TestAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tests for pytest or unittest; "auto" is pytest where it is among the deps."""

    imports: tuple[str, ...] = (".",)
    framework: Literal["auto", "pytest", "unittest"] = "auto"


AnyPythonAttributes = PythonLibraryAttributes | PythonProgramAttributes | PythonTestAttributes
