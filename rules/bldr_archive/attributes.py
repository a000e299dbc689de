"""What an archive may say."""

from typing import Literal

from bldr.api import TargetAttributes

Format = Literal["tar", "tar.gz", "tar.xz", "zip"]


class ArchiveAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`type = "archive"`: the files of `sources`, and those that `deps` make with all that their programs need.

    `out` is the name of the archive, by default that of the target and the format. A file below the package's directory
    is called in it by its path there, any other by its path in the workspace; `strip_prefix`, a directory of the
    package, is taken away from all names, and `prefix` put before them. `modes` are pairs of a pattern of such a name
    and a mode ("0755"); without one, programs have 0755 and other files 0644. `mtime` counts seconds since 1970.
    """

    format: Format = "tar.gz"
    out: str = ""
    prefix: str = ""
    strip_prefix: str = ""
    modes: dict[str, str] = {}
    mtime: int = 315532800
