"""What targets of Zig may say."""

from bldr.api import FileList, TargetAttributes, TestAttributes


class ZigAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program. `root` is the source that imports the others; without it `main.zig`, or the only source.

    `flags` are for the compiler. What depends on a library imports it by its name.
    """

    root: str = ""
    flags: tuple[str, ...] = ()


class ZigLibraryAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A library. `root` is the source that imports the others; without it `root.zig`, or the only source.

    `headers` are for users in C, who see what is marked `export`.
    """

    root: str = ""
    flags: tuple[str, ...] = ()
    headers: FileList = ()


class ZigTestAttributes(TestAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `test` blocks of `root` and of what it imports; without `root` of `main.zig`, or of the only source."""

    root: str = ""
    flags: tuple[str, ...] = ()


AnyZigAttributes = ZigAttributes | ZigLibraryAttributes | ZigTestAttributes
