"""bldr: a hermetic build executor."""

__version__ = "0.1.0"
