"""Limits of a spec that more than one of its fields says: pure, and imports nothing."""

from bldr.api import SandboxSpec


def processes_at_most(spec: SandboxSpec) -> int | None:
    """How many may be alive at one time: the command and its children."""
    children = spec.process.max_children
    given = [n for n in (spec.resources.processes, None if children is None else children + 1) if n is not None]
    return min(given, default=None)
