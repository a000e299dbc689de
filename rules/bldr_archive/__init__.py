"""Targets of type "archive": tar and zip files, the same bytes for the same inputs."""
