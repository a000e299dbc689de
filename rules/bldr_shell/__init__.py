"""Shell: scripts and tests."""
