"""Targets of type "command": any program as one action; and tests that are a command."""
