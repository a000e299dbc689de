"""How the store says that something cannot be read or written."""

import errno

from bldr.api.errors import CacheError
from bldr.printable import escaped

_HINTS = {
    errno.ENOSPC: "free some space, or run `bldr gc --max-size SIZE`",
    errno.EDQUOT: "your quota is used up: free some space, or run `bldr gc --max-size SIZE`",
    errno.EFBIG: "a file size limit is in force: see `ulimit -f`",
    errno.EROFS: "the file system is read-only: name another directory with --cache-dir",
    errno.EACCES: "name a directory that you may write to with --cache-dir",
    errno.EPERM: "name a directory that you may write to with --cache-dir",
    errno.EMFILE: "raise the limit of open files: see `ulimit -n`",
}


class BlobMissing(CacheError):  # noqa: N818 # says what is the matter, as FileNotFoundError does
    """A blob is not in the store, or was damaged and has been removed: whoever made it has to make it again."""

    def __init__(self, digest_hash: str, why: str = "is not in the store") -> None:
        super().__init__(f"blob {digest_hash} {why}", "build again: what made it will run again")
        self.digest_hash = digest_hash


def storage_error(doing: str, path: str, error: OSError) -> CacheError:
    """The error that people see when `doing` ("write", "read", ...) to `path` failed."""
    reason = (error.strerror or str(error)).lower()
    return CacheError(f"cannot {doing} {escaped(path)}: {reason}", _HINTS.get(error.errno or 0, ""))
