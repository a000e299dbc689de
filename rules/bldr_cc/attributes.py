"""What targets of C and C++ may say."""

from typing import Literal

from bldr.api import FileList, TargetAttributes, TestAttributes


class CcAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An executable. `include` and `defines` reach everybody who depends on the target, the flags do not.

    `include` names directories relative to the package ("." is the package itself).
    """

    headers: FileList = ()
    include: tuple[str, ...] = ()
    defines: tuple[str, ...] = ()
    local_defines: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    link_flags: tuple[str, ...] = ()


class CcLibraryAttributes(CcAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A library; the `link_flags` of a static one go to every program that it is linked into."""

    linkage: Literal["static", "shared"] = "static"


class CcTestAttributes(TestAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A test: an executable that passes when it returns 0. Repeats `CcAttributes`, which msgspec cannot mix in."""

    headers: FileList = ()
    include: tuple[str, ...] = ()
    defines: tuple[str, ...] = ()
    local_defines: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    link_flags: tuple[str, ...] = ()


AnyCcAttributes = CcAttributes | CcLibraryAttributes | CcTestAttributes
