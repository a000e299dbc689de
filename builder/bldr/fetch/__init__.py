"""Outside sources, pinned by hash: downloads, indexes and archives, all hostile until proven otherwise."""

from bldr.fetch.source import External, Fetching, Limits, Progress, Warn
from bldr.fetch.sources import fetch, verify

__all__ = ["External", "Fetching", "Limits", "Progress", "Warn", "fetch", "verify"]
