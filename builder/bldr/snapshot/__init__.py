"""What the last successful build of a request knew, as files that a null build reads instead of the workspace."""
