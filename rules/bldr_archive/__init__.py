"""Deterministic archives: tar and zip files of artifacts."""
