"""`bldr watch`: builds when something changes, and answers other commands of the workspace from what it saw."""
