"""What a command and a test that is a command may say."""

from bldr.api import LabelList, TargetAttributes, TestAttributes


class CommandAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`type = "command"`: one process that makes `outputs` of `sources`.

    `command` as a text is a script for `/bin/sh -euc`, as a list it is argv and no shell is involved. A name in
    `outputs` that ends with a slash is a directory. `executable` says that the only output is a program.
    """

    outputs: tuple[str, ...]
    command: str | tuple[str, ...]
    tools: LabelList = ()
    toolchains: tuple[str, ...] = ()
    executable: bool = False


class CommandTestAttributes(TestAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`type = "test"` without a language: it passes when `command` returns 0."""

    command: str | tuple[str, ...]
    tools: LabelList = ()
    toolchains: tuple[str, ...] = ()


class SuiteAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`type = "suite"`: stands for `tests`, which may be suites themselves."""

    tests: LabelList
