"""What a library of messages may say."""

from typing import Literal

from bldr.api import LabelList, TargetAttributes

Language = Literal["", "c++", "go", "java", "python"]


class ProtoAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Messages for others, and sources in the language that `generate` names; without one they are only checked.

    `compiler` is the program that understands protoc's options. `root` is the directory of the package in which the
    names begin by which messages are imported. `plugins` are programs called `protoc-gen-NAME`; `options` are given to
    the generator.
    """

    compiler: LabelList
    generate: Language = ""
    root: str = "."
    plugins: LabelList = ()
    options: tuple[str, ...] = ()
