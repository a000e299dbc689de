"""What differs between systems, chosen here and nowhere else, by what there is.

`os` and `fcntl` are the modules of these names or, where directories have no descriptors, what stands in for them: the
rest of the engine is written for POSIX and asks for no system. On POSIX nothing lies between it and the modules.
"""

import os as os
from collections.abc import Callable

from bldr.system import plain

path_complaint: Callable[[str], str] | None = None
"""Why a normal path is another file's, "" where it is not; None where every name is a file's own."""

path_identity: Callable[[str], str] | None = None
"""What is the same for all paths of one file; None where that is the path."""

try:
    import fcntl as fcntl
except ImportError:
    from bldr.system import locking as fcntl  # type: ignore[no-redef]
    from bldr.system import windows as os  # type: ignore[no-redef]
    from bldr.system.names import path_complaint, path_identity

__all__ = ["fcntl", "kept_mode", "occupied_bytes", "os", "path_complaint", "path_identity", "send_file"]

kept_mode = plain.kept_mode if hasattr(os, "fork") else plain.kept_attribute
"""What a stat shows of the mode that a file was given."""

occupied_bytes = plain.blocks_bytes if hasattr(os.stat_result, "st_blocks") else plain.clusters_bytes
"""What a file takes of the disk."""

send_file = os.sendfile if hasattr(os, "copy_file_range") else plain.send_file
"""sendfile(2) where it takes files; elsewhere sockets alone are sent to."""
