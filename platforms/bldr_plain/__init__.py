"""The plain platform: runs actions in a copy of their tree, with their environment and nothing else of a sandbox."""
