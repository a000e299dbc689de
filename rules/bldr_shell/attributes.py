"""What targets of shell may say."""

from typing import Literal

from bldr.api import TargetAttributes, TestAttributes

Lint = bool | Literal["auto"]


class ShellAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A library, or a program whose `main` is one of the sources: the only one, unless it is said.

    `lint` says whether shellcheck must find nothing; "auto" asks it where this machine has it. `lint_flags` are its
    options. `toolchains` are those that the scripts run programs of, besides "shell".
    """

    main: str = ""
    lint: Lint = "auto"
    lint_flags: tuple[str, ...] = ()
    toolchains: tuple[str, ...] = ()


class ShellTestAttributes(TestAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A test: a script that passes when it returns 0. Repeats `ShellAttributes`, which msgspec cannot mix in."""

    main: str = ""
    lint: Lint = "auto"
    lint_flags: tuple[str, ...] = ()
    toolchains: tuple[str, ...] = ()


AnyShellAttributes = ShellAttributes | ShellTestAttributes
