"""Names that mean something wherever they stand in a source tree. Imports nothing: a null build asks for them, too."""

NEVER_ENTERED = frozenset(
    ("bldr-out", ".git", ".hg", ".svn", ".jj", ".bzr", ".pijul", "_darcs", "CVS", ".sl", "__pycache__")
)
"""Names of directories that hold no sources: outputs, the stores of version control, byte code."""

CACHE_TAG = "CACHEDIR.TAG"
"""Marks a cache directory that is not worth a look (bford.info/cachedir)."""
