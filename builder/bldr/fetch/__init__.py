"""Outside sources, pinned by hash: downloads, indexes and archives, all hostile until proven otherwise."""

from bldr.fetch.source import External, Fetching, Limits, Progress, Warn
from bldr.fetch.sources import fetch, fetch_packages, verify, verify_packages

__all__ = ["External", "Fetching", "Limits", "Progress", "Warn", "fetch", "fetch_packages", "verify", "verify_packages"]
